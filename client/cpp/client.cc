#include "client/cpp/client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "client/cpp/channel.h"
#include "client/cpp/error.h"
#include "client/cpp/progress_call.h"
#include "client/cpp/stall_guard.h"
#include "client/cpp/stubs.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

// What the server takes in one Predict.
constexpr int kInputsInOnePredict = 256;
constexpr int kImagesInOnePredict = 64;
constexpr size_t kImageBytesInOnePredict = 32 << 20;

constexpr double kHealthTimeoutSeconds = 5;

void SetDeadline(grpc::ClientContext& context, double seconds) {
  if (seconds > 0) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  }
}

// Makes the call until it succeeds or may not be tried again.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const ClientOptions& options, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request, double timeout_seconds) {
  Retrier retrier(options.retry);
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, timeout_seconds);
    Response response;
    const absl::Status status = ToStatus((stub.*method)(&context, request, &response));
    if (status.ok()) return response;
    if (!retrier.WaitAfter(status)) return ExplainFinal(status, options, retrier.failures());
  }
}

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const ClientOptions& options, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request) {
  return Call(options, stub, method, request, options.call_timeout_seconds);
}

// A delete whose answer was lost finds nothing when it is tried again: that is success.
template <typename Stub, typename Request, typename Response>
absl::Status CallDelete(const ClientOptions& options, Stub& stub,
                        grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request) {
  Retrier retrier(options.retry);
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, options.call_timeout_seconds);
    Response response;
    const absl::Status status = ToStatus((stub.*method)(&context, request, &response));
    if (status.ok() || (absl::IsNotFound(status) && retrier.failures() > 0)) return absl::OkStatus();
    if (!retrier.WaitAfter(status)) return ExplainFinal(status, options, retrier.failures());
  }
}

// Takes texts and images from `input` and `image` on, as many as one call may have, and moves both on. An image that is
// too large goes alone, for the server to refuse.
v1::PredictRequest NextPart(const v1::PredictRequest& request, int* input, int* image) {
  v1::PredictRequest part;
  part.set_views(request.views());
  for (; *input < request.inputs_size() && part.inputs_size() < kInputsInOnePredict; ++*input)
    *part.add_inputs() = request.inputs(*input);
  size_t bytes = 0;
  for (; *image < request.images_size() && part.images_size() < kImagesInOnePredict; ++*image) {
    bytes += request.images(*image).size();
    if (bytes > kImageBytesInOnePredict && part.images_size() > 0) break;
    part.add_images(request.images(*image));
  }
  return part;
}

template <typename Request>
void FillRequestId(Request& request) {
  if (request.request_id().empty()) request.set_request_id(NewId('r'));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(ClientOptions options, std::shared_ptr<grpc::Channel> channel) {
  ATTUNE_RETURN_IF_ERROR(CheckOptions(options));
  if (channel == nullptr) channel = OpenChannel(options);
  return std::unique_ptr<Client>(new Client(std::move(options), channel));
}

Client::Client(ClientOptions options, const std::shared_ptr<grpc::Channel>& channel)
    : options_(std::move(options)), stubs_(std::make_unique<Stubs>(channel)) {}

Client::~Client() = default;

// Uploads
// -----------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Upload> Client::CreateUpload(v1::CreateUploadRequest request) {
  FillRequestId(request);
  return Call(options_, stubs_->uploads, &v1::UploadService::Stub::CreateUpload, request);
}

absl::StatusOr<v1::Upload> Client::GetUpload(const v1::GetUploadRequest& request) {
  return Call(options_, stubs_->uploads, &v1::UploadService::Stub::GetUpload, request);
}

absl::Status Client::DeleteUpload(const v1::DeleteUploadRequest& request) {
  return CallDelete(options_, stubs_->uploads, &v1::UploadService::Stub::DeleteUpload, request);
}

// Datasets
// ----------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Dataset> Client::ImportDataset(v1::ImportDatasetRequest request, const ImportProgress& progress) {
  FillRequestId(request);
  v1::Dataset dataset;
  ATTUNE_RETURN_IF_ERROR(CallWithProgress(options_, stubs_->datasets, &v1::DatasetService::Stub::ImportDataset, request, "import",
                                          [&](const v1::ImportDatasetResponse& response) {
                                            if (response.has_dataset()) {
                                              dataset = response.dataset();
                                            } else if (progress) {
                                              progress(response);
                                            }
                                            return response.has_dataset();
                                          }));
  return WaitForImport(std::move(dataset));
}

// A retried import may be told of a dataset that is still being imported by the first try.
absl::StatusOr<v1::Dataset> Client::WaitForImport(v1::Dataset dataset) {
  v1::GetDatasetRequest request;
  request.set_name(dataset.name());
  while (dataset.state() == v1::Dataset::STATE_IMPORTING) {
    SleepFor(options_.retry, absl::Seconds(options_.retry.initial_backoff_seconds));
    ATTUNE_ASSIGN_OR_RETURN(dataset, GetDataset(request));
  }
  if (dataset.state() == v1::Dataset::STATE_FAILED) {
    return absl::InvalidArgumentError(StrCat(dataset.name(), " could not be imported: ", dataset.error()));
  }
  return dataset;
}

absl::StatusOr<v1::Dataset> Client::GetDataset(const v1::GetDatasetRequest& request) {
  return Call(options_, stubs_->datasets, &v1::DatasetService::Stub::GetDataset, request);
}

absl::StatusOr<v1::ListDatasetsResponse> Client::ListDatasets(const v1::ListDatasetsRequest& request) {
  return Call(options_, stubs_->datasets, &v1::DatasetService::Stub::ListDatasets, request);
}

absl::Status Client::DeleteDataset(const v1::DeleteDatasetRequest& request) {
  return CallDelete(options_, stubs_->datasets, &v1::DatasetService::Stub::DeleteDataset, request);
}

absl::StatusOr<v1::PreviewRowsResponse> Client::PreviewRows(const v1::PreviewRowsRequest& request) {
  return Call(options_, stubs_->datasets, &v1::DatasetService::Stub::PreviewRows, request);
}

// Tokens
// ------------------------------------------------------------------------------------------------------------------

// Once: a second try after an answer that was lost would make a second token.
absl::StatusOr<v1::CreateTokenResponse> Client::CreateToken(const v1::CreateTokenRequest& request) {
  grpc::ClientContext context;
  SetDeadline(context, options_.call_timeout_seconds);
  v1::CreateTokenResponse response;
  const absl::Status status = ToStatus(stubs_->admin.CreateToken(&context, request, &response));
  if (!status.ok()) return ExplainFinal(status, options_, 1);
  return response;
}

absl::StatusOr<v1::ListTokensResponse> Client::ListTokens(const v1::ListTokensRequest& request) { return Call(options_, stubs_->admin, &v1::AdminService::Stub::ListTokens, request); }

absl::StatusOr<v1::Token> Client::RevokeToken(const v1::RevokeTokenRequest& request) { return Call(options_, stubs_->admin, &v1::AdminService::Stub::RevokeToken, request); }

// Models
// ------------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Model> Client::ImportModel(v1::ImportModelRequest request) {
  FillRequestId(request);
  return Call(options_, stubs_->models, &v1::ModelService::Stub::ImportModel, request, options_.long_call_timeout_seconds);
}

absl::StatusOr<v1::Model> Client::GetModel(const v1::GetModelRequest& request) {
  return Call(options_, stubs_->models, &v1::ModelService::Stub::GetModel, request);
}

absl::StatusOr<v1::ListModelsResponse> Client::ListModels(const v1::ListModelsRequest& request) {
  return Call(options_, stubs_->models, &v1::ModelService::Stub::ListModels, request);
}

absl::Status Client::DeleteModel(const v1::DeleteModelRequest& request) {
  return CallDelete(options_, stubs_->models, &v1::ModelService::Stub::DeleteModel, request);
}

absl::StatusOr<v1::DescribeLayersResponse> Client::DescribeLayers(const v1::DescribeLayersRequest& request) {
  return Call(options_, stubs_->models, &v1::ModelService::Stub::DescribeLayers, request);
}

absl::StatusOr<v1::ListArchitecturesResponse> Client::ListArchitectures() {
  return Call(options_, stubs_->models, &v1::ModelService::Stub::ListArchitectures, v1::ListArchitecturesRequest());
}

// Jobs
// --------------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::FineTuningJob> Client::CreateFineTuningJob(v1::CreateFineTuningJobRequest request) {
  FillRequestId(request);
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::CreateFineTuningJob, request);
}

absl::StatusOr<v1::PlanFineTuningJobResponse> Client::PlanFineTuningJob(const v1::PlanFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::PlanFineTuningJob, request, options_.long_call_timeout_seconds);
}

absl::StatusOr<v1::FineTuningJob> Client::GetFineTuningJob(const v1::GetFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::GetFineTuningJob, request);
}

absl::StatusOr<v1::ListFineTuningJobsResponse> Client::ListFineTuningJobs(
    const v1::ListFineTuningJobsRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::ListFineTuningJobs, request);
}

absl::StatusOr<v1::FineTuningJob> Client::CancelFineTuningJob(const v1::CancelFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::CancelFineTuningJob, request);
}

absl::StatusOr<v1::FineTuningJob> Client::PauseFineTuningJob(const v1::PauseFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::PauseFineTuningJob, request);
}

absl::StatusOr<v1::FineTuningJob> Client::ResumeFineTuningJob(const v1::ResumeFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::ResumeFineTuningJob, request);
}

absl::StatusOr<v1::FineTuningJob> Client::UpdateFineTuningJob(const v1::UpdateFineTuningJobRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::UpdateFineTuningJob, request);
}

absl::Status Client::DeleteFineTuningJob(const v1::DeleteFineTuningJobRequest& request) {
  return CallDelete(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::DeleteFineTuningJob, request);
}

absl::StatusOr<v1::ListJobEventsResponse> Client::ListJobEvents(const v1::ListJobEventsRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::ListJobEvents, request);
}

absl::StatusOr<v1::ListJobMetricsResponse> Client::ListJobMetrics(const v1::ListJobMetricsRequest& request) {
  return Call(options_, stubs_->jobs, &v1::FineTuningJobService::Stub::ListJobMetrics, request);
}

// Checkpoints
// -------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Checkpoint> Client::GetCheckpoint(const v1::GetCheckpointRequest& request) {
  return Call(options_, stubs_->checkpoints, &v1::CheckpointService::Stub::GetCheckpoint, request);
}

absl::StatusOr<v1::ListCheckpointsResponse> Client::ListCheckpoints(const v1::ListCheckpointsRequest& request) {
  return Call(options_, stubs_->checkpoints, &v1::CheckpointService::Stub::ListCheckpoints, request);
}

absl::StatusOr<v1::Checkpoint> Client::UpdateCheckpoint(const v1::UpdateCheckpointRequest& request) {
  return Call(options_, stubs_->checkpoints, &v1::CheckpointService::Stub::UpdateCheckpoint, request);
}

absl::Status Client::DeleteCheckpoint(const v1::DeleteCheckpointRequest& request) {
  return CallDelete(options_, stubs_->checkpoints, &v1::CheckpointService::Stub::DeleteCheckpoint, request);
}

// Prediction and system
// ---------------------------------------------------------------------------------------------------

absl::StatusOr<v1::PredictResponse> Client::Predict(const v1::PredictRequest& request) {
  v1::PredictResponse all;
  std::string checkpoint = request.checkpoint();
  int input = 0, image = 0;
  do {
    v1::PredictRequest part = NextPart(request, &input, &image);
    part.set_checkpoint(checkpoint);
    ATTUNE_ASSIGN_OR_RETURN(v1::PredictResponse answer, Call(options_, stubs_->prediction, &v1::PredictionService::Stub::Predict, part, options_.long_call_timeout_seconds));
    all.MergeFrom(answer);
    checkpoint = answer.checkpoint();
  } while (input < request.inputs_size() || image < request.images_size());
  return all;
}

absl::StatusOr<v1::CheckpointEvaluation> Client::Evaluate(const v1::EvaluateRequest& request, const EvaluationProgress& progress) {
  v1::CheckpointEvaluation result;
  ATTUNE_RETURN_IF_ERROR(CallWithProgress(options_, stubs_->prediction, &v1::PredictionService::Stub::Evaluate, request, "evaluation",
                                          [&](const v1::EvaluateResponse& response) {
                                            if (response.has_result()) {
                                              result = response.result();
                                            } else if (progress) {
                                              progress(response.progress());
                                            }
                                            return response.has_result();
                                          }));
  return result;
}

absl::StatusOr<v1::ServerInfo> Client::GetServerInfo() {
  return Call(options_, stubs_->system, &v1::SystemService::Stub::GetServerInfo, v1::GetServerInfoRequest());
}

absl::StatusOr<v1::ListDevicesResponse> Client::ListDevices() {
  return Call(options_, stubs_->system, &v1::SystemService::Stub::ListDevices, v1::ListDevicesRequest());
}

absl::StatusOr<bool> Client::IsServing(const std::string& service) {
  using grpc::health::v1::HealthCheckResponse;
  grpc::ClientContext context;
  SetDeadline(context, kHealthTimeoutSeconds);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  const absl::Status status = ToStatus(stubs_->health.Check(&context, request, &response));
  if (!status.ok()) return ExplainFinal(status, options_, 1);
  return response.status() == HealthCheckResponse::SERVING;
}

}  // namespace attune::client
