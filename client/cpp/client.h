// Client: every method of the service as a plain function, with deadlines, retries and readable errors. Made by the
// caller, one for each server; thread-safe. What takes several calls is beside it: upload.h, import.h, watch.h,
// download.h.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto client, Client::Connect({.address = "127.0.0.1:50051"}));
//   v1::GetModelRequest request;
//   request.set_name("models/minilm");
//   ATTUNE_ASSIGN_OR_RETURN(v1::Model model, client->GetModel(request));
//
// Errors: the server's code with its details (DescribeError takes them apart); UNAVAILABLE when it cannot be reached
// after all tries; DEADLINE_EXCEEDED. Transient faults are retried; creates and imports get a request_id when they have
// none, so that this is harmless.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/admin.pb.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"
#include "attune/v1/upload.pb.h"
#include "client/cpp/retry.h"
#include "grpcpp/channel.h"

namespace attune::client {

struct ClientOptions {
  std::string address = "127.0.0.1:50051";  // host:port, or unix:/path
  double call_timeout_seconds = 30;         // of each try of an ordinary call; 0: none
  double long_call_timeout_seconds =
      600;  // of calls that read whole files (ImportModel, Predict, imports and evaluations without a sign of life); 0: none
  double stall_timeout_seconds =
      60;  // a stream that is silent for so long counts as cut (the server says something each 10 s); 0: never
  RetryPolicy retry;
  // Sent with each call as W3C trace context (https://www.w3.org/TR/trace-context/), so that server, jobs and workers name the caller's trace in their logs and events; empty:
  // nothing is sent.
  std::string traceparent;

  // TLS. PEM texts, not files.
  bool tls = false;                // also where any of the others is set
  std::string ca_certificates;     // whom to believe; empty: the system's authorities
  std::string client_certificate;  // the caller's own, and its key; empty: none is shown
  std::string client_key;
  // Sent with each call as `authorization: Bearer TOKEN`: an API token or a JWT. Refused without TLS but to this machine, since everybody on the way could read and use it.
  std::string token;
  bool allow_plaintext_token = false;
};

class Client {
 public:
  // Does not wait for the connection: the first call does. INVALID_ARGUMENT for options without sense. `channel`, when
  // given, is used instead of one to options.address.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(ClientOptions options,
                                                         std::shared_ptr<grpc::Channel> channel = nullptr);
  ~Client();

  absl::StatusOr<v1::CreateTokenResponse> CreateToken(const v1::CreateTokenRequest& request);
  absl::StatusOr<v1::ListTokensResponse> ListTokens(const v1::ListTokensRequest& request);
  absl::StatusOr<v1::Token> RevokeToken(const v1::RevokeTokenRequest& request);

  absl::StatusOr<v1::Upload> CreateUpload(v1::CreateUploadRequest request);
  absl::StatusOr<v1::Upload> GetUpload(const v1::GetUploadRequest& request);
  absl::Status DeleteUpload(const v1::DeleteUploadRequest& request);

  // Calls `progress`, if given, with each message but the last, and returns when the dataset is READY. A dataset that
  // FAILED is INVALID_ARGUMENT with the server's words.
  using ImportProgress = std::function<void(const v1::ImportDatasetResponse&)>;
  absl::StatusOr<v1::Dataset> ImportDataset(v1::ImportDatasetRequest request, const ImportProgress& progress = nullptr);
  absl::StatusOr<v1::Dataset> GetDataset(const v1::GetDatasetRequest& request);
  absl::StatusOr<v1::ListDatasetsResponse> ListDatasets(const v1::ListDatasetsRequest& request);
  absl::Status DeleteDataset(const v1::DeleteDatasetRequest& request);
  absl::StatusOr<v1::PreviewRowsResponse> PreviewRows(const v1::PreviewRowsRequest& request);

  absl::StatusOr<v1::Model> ImportModel(v1::ImportModelRequest request);
  absl::StatusOr<v1::Model> GetModel(const v1::GetModelRequest& request);
  absl::StatusOr<v1::ListModelsResponse> ListModels(const v1::ListModelsRequest& request);
  absl::Status DeleteModel(const v1::DeleteModelRequest& request);
  absl::StatusOr<v1::DescribeLayersResponse> DescribeLayers(const v1::DescribeLayersRequest& request);
  absl::StatusOr<v1::ListArchitecturesResponse> ListArchitectures();

  absl::StatusOr<v1::FineTuningJob> CreateFineTuningJob(v1::CreateFineTuningJobRequest request);
  // Minutes: a worker measures.
  absl::StatusOr<v1::PlanFineTuningJobResponse> PlanFineTuningJob(const v1::PlanFineTuningJobRequest& request);
  absl::StatusOr<v1::FineTuningJob> GetFineTuningJob(const v1::GetFineTuningJobRequest& request);
  absl::StatusOr<v1::ListFineTuningJobsResponse> ListFineTuningJobs(const v1::ListFineTuningJobsRequest& request);
  absl::StatusOr<v1::FineTuningJob> CancelFineTuningJob(const v1::CancelFineTuningJobRequest& request);
  absl::StatusOr<v1::FineTuningJob> PauseFineTuningJob(const v1::PauseFineTuningJobRequest& request);
  absl::StatusOr<v1::FineTuningJob> ResumeFineTuningJob(const v1::ResumeFineTuningJobRequest& request);
  absl::StatusOr<v1::FineTuningJob> UpdateFineTuningJob(const v1::UpdateFineTuningJobRequest& request);
  absl::Status DeleteFineTuningJob(const v1::DeleteFineTuningJobRequest& request);
  absl::StatusOr<v1::ListJobEventsResponse> ListJobEvents(const v1::ListJobEventsRequest& request);
  absl::StatusOr<v1::ListJobMetricsResponse> ListJobMetrics(const v1::ListJobMetricsRequest& request);

  absl::StatusOr<v1::Checkpoint> GetCheckpoint(const v1::GetCheckpointRequest& request);
  absl::StatusOr<v1::ListCheckpointsResponse> ListCheckpoints(const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::Checkpoint> UpdateCheckpoint(const v1::UpdateCheckpointRequest& request);
  absl::Status DeleteCheckpoint(const v1::DeleteCheckpointRequest& request);

  // Any number of texts or images: more than 256 texts, or 64 images or 32 MiB of them, go out in several calls, and
  // `checkpoint` of the first answer is used for the others. predict.h reads images from files.
  absl::StatusOr<v1::PredictResponse> Predict(const v1::PredictRequest& request);

  // Minutes. Calls `progress`, if given, with each message but the last. A try that was cut starts anew.
  using EvaluationProgress = std::function<void(const v1::EvaluateProgress&)>;
  absl::StatusOr<v1::CheckpointEvaluation> Evaluate(const v1::EvaluateRequest& request, const EvaluationProgress& progress = nullptr);

  absl::StatusOr<v1::ServerInfo> GetServerInfo();
  absl::StatusOr<v1::ListDevicesResponse> ListDevices();
  // What the server says of itself, or of one of its services (as "attune.v1.SystemService"; NOT_FOUND where it has no such one), by gRPC's health check. One try of 5 seconds: for
  // whoever asks again anyway.
  absl::StatusOr<bool> IsServing(const std::string& service = "");

  // One try of a stream, without retries: what upload.h, watch.h and download.h are made of.
  // `next` returns the next piece of content, empty at the end; it must stay valid until the next call.
  absl::StatusOr<v1::Upload> WriteUploadOnce(const std::string& name, int64_t offset,
                                             const std::function<absl::StatusOr<std::string_view>()>& next);
  // `take` returns false to end the stream early, which is OK.
  absl::Status WatchOnce(const v1::WatchFineTuningJobRequest& request,
                         const std::function<bool(const v1::WatchFineTuningJobResponse&)>& take);
  // An error of `take` ends the stream and is returned.
  absl::Status DownloadOnce(const v1::DownloadCheckpointFileRequest& request,
                            const std::function<absl::Status(const v1::DownloadCheckpointFileResponse&)>& take);
  absl::Status BackupOnce(const std::function<absl::Status(const v1::CreateBackupResponse&)>& take);

  const ClientOptions& options() const { return options_; }

 private:
  struct Stubs;
  Client(ClientOptions options, const std::shared_ptr<grpc::Channel>& channel);
  absl::StatusOr<v1::Dataset> WaitForImport(v1::Dataset dataset);

  const ClientOptions options_;
  const std::unique_ptr<Stubs> stubs_;
};

}  // namespace attune::client
