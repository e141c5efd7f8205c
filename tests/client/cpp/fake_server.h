// FakeServer: scripted services in this process, for tests of client/. Each service keeps just enough state to be
// honest (an upload really checks its hash) and misbehaves where the script says so. Header-only; owned by the test.
// Script before calling; counters may be read after the call.
//
//   FakeServer server;
//   server.uploads.cut_after = {100, 50};        // the first two streams die after so many more bytes
//   auto client = server.Connect();
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "attune/v1/admin.grpc.pb.h"
#include "attune/v1/checkpoint.grpc.pb.h"
#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "attune/v1/model.grpc.pb.h"
#include "attune/v1/prediction.grpc.pb.h"
#include "attune/v1/system.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "client/cpp/client.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/base/sha256.h"

namespace attune::client {

// A status as the server makes them: with an ErrorInfo, and what else is given.
struct FakeError {
  grpc::StatusCode code;
  std::string message;
  std::string reason = "FAKE";
  std::vector<std::pair<std::string, std::string>> violations;
  double retry_after_seconds = 0;
  std::vector<std::pair<std::string, std::string>> metadata;

  grpc::Status ToStatus() const {
    google::rpc::Status status;
    status.set_code(code);
    status.set_message(message);
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain("attune.dev");
    for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
    status.add_details()->PackFrom(info);
    google::rpc::BadRequest bad_request;
    for (const auto& [field, description] : violations) {
      auto* violation = bad_request.add_field_violations();
      violation->set_field(field);
      violation->set_description(description);
    }
    if (!violations.empty()) status.add_details()->PackFrom(bad_request);
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(static_cast<int64_t>(retry_after_seconds));
    if (retry_after_seconds > 0) status.add_details()->PackFrom(retry);
    return grpc::Status(code, message, status.SerializeAsString());
  }
};

inline grpc::Status Unavailable() { return {grpc::StatusCode::UNAVAILABLE, "connection reset"}; }

// Errors that the next calls give, in order; then calls work.
class Script {
 public:
  void Fail(grpc::Status status, int times = 1) {
    for (int i = 0; i < times; ++i) errors_.push_back(status);
  }
  // Counts the call; OK when nothing is scripted.
  grpc::Status Next() {
    ++calls;
    if (errors_.empty()) return grpc::Status::OK;
    grpc::Status status = errors_.front();
    errors_.pop_front();
    return status;
  }
  int calls = 0;

 private:
  std::deque<grpc::Status> errors_;
};

class FakeUploads final : public v1::UploadService::Service {
 public:
  struct Entry {
    v1::Upload upload;
    std::string content;
  };
  std::deque<int64_t> cut_after;   // each stream, in order, ends with UNAVAILABLE after so many bytes
  int64_t corrupt_streams = 0;     // the first streams store a wrong byte
  bool forget = false;             // the next write finds no upload
  std::function<void()> on_write;  // before each stream is read
  std::map<std::string, Entry> uploads;
  std::map<std::string, std::string> by_request_id;
  Script create, get;
  std::vector<int64_t> offsets;  // of the streams
  size_t largest_message = 0;

  grpc::Status CreateUpload(grpc::ServerContext*, const v1::CreateUploadRequest* request,
                            v1::Upload* response) override {
    grpc::Status status = create.Next();
    if (!status.ok()) return status;
    auto [known, is_new] =
        by_request_id.try_emplace(request->request_id(), "uploads/u" + std::to_string(by_request_id.size() + 1));
    Entry& entry = uploads[known->second];
    if (is_new) {
      entry.upload.set_name(known->second);
      entry.upload.set_filename(request->filename());
      entry.upload.set_size_bytes(request->size_bytes());
      entry.upload.set_sha256(request->sha256());
      entry.upload.set_state(v1::Upload::STATE_ACTIVE);
    }
    *response = entry.upload;
    return grpc::Status::OK;
  }

  grpc::Status GetUpload(grpc::ServerContext*, const v1::GetUploadRequest* request, v1::Upload* response) override {
    grpc::Status status = get.Next();
    if (status.ok()) *response = uploads[request->name()].upload;
    return status;
  }

  grpc::Status WriteUpload(grpc::ServerContext*, grpc::ServerReader<v1::WriteUploadRequest>* reader,
                           v1::Upload* response) override {
    if (on_write) on_write();
    v1::WriteUploadRequest message;
    if (!reader->Read(&message)) return Unavailable();
    offsets.push_back(message.offset());
    if (std::exchange(forget, false)) return FakeError{grpc::StatusCode::NOT_FOUND, "no such upload"}.ToStatus();
    Entry& entry = uploads[message.name()];
    if (message.offset() != entry.upload.committed_bytes()) {
      return FakeError{grpc::StatusCode::OUT_OF_RANGE, "wrong offset", "UPLOAD_OFFSET"}.ToStatus();
    }
    int64_t left = cut_after.empty() ? INT64_MAX : cut_after.front();
    if (!cut_after.empty()) cut_after.pop_front();
    do {
      largest_message = std::max(largest_message, message.data().size());
      entry.content.append(message.data(), 0, static_cast<size_t>(std::min<int64_t>(left, message.data().size())));
      left -= static_cast<int64_t>(message.data().size());
      entry.upload.set_committed_bytes(static_cast<int64_t>(entry.content.size()));
      if (left < 0) return Unavailable();
    } while (reader->Read(&message));
    return Complete(entry, response);
  }

 private:
  grpc::Status Complete(Entry& entry, v1::Upload* response) {
    if (corrupt_streams > 0) {
      --corrupt_streams;
      entry.content[0] ^= 1;
    }
    if (entry.upload.committed_bytes() == entry.upload.size_bytes()) {
      if (Sha256Hex(entry.content) != entry.upload.sha256()) {
        entry.content.clear();
        entry.upload.set_committed_bytes(0);
        return FakeError{grpc::StatusCode::DATA_LOSS, "wrong SHA-256"}.ToStatus();
      }
      entry.upload.set_state(v1::Upload::STATE_COMPLETE);
    }
    *response = entry.upload;
    return grpc::Status::OK;
  }
};

class FakeJobs final : public v1::FineTuningJobService::Service {
 public:
  // What one watch stream sends, and how it ends.
  struct Stream {
    std::vector<v1::WatchFineTuningJobResponse> messages;
    grpc::Status end = grpc::Status::OK;
    bool hang = false;  // instead of ending
  };
  std::deque<Stream> streams;
  std::vector<int64_t> watched_after;
  std::vector<v1::JobEvent> stored;  // what ListJobEvents knows
  std::map<std::string, v1::FineTuningJob> jobs;
  std::function<grpc::Status(const v1::CreateFineTuningJobRequest&, v1::FineTuningJob*)> on_create;
  std::vector<v1::CreateFineTuningJobRequest> created;
  std::vector<v1::PlanFineTuningJobRequest> planned;
  v1::PlanFineTuningJobResponse plan;
  std::vector<v1::ListFineTuningJobsRequest> listed;
  std::vector<v1::UpdateFineTuningJobRequest> updated;
  std::vector<std::string> cancelled, deleted;  // names
  std::vector<v1::MetricPoint> metrics;
  Script create, get, list_events, remove, cancel, make_plan;

  grpc::Status CreateFineTuningJob(grpc::ServerContext*, const v1::CreateFineTuningJobRequest* request,
                                   v1::FineTuningJob* response) override {
    created.push_back(*request);
    grpc::Status status = create.Next();
    if (!status.ok()) return status;
    if (on_create) return on_create(*request, response);
    if (!request->validate_only()) response->set_name("fineTuningJobs/j1");
    *response->mutable_spec() = request->spec();
    *response->mutable_effective_spec() = request->spec();
    response->set_state(v1::FineTuningJob::STATE_QUEUED);
    return grpc::Status::OK;
  }
  grpc::Status PlanFineTuningJob(grpc::ServerContext*, const v1::PlanFineTuningJobRequest* request, v1::PlanFineTuningJobResponse* response) override {
    planned.push_back(*request);
    grpc::Status status = make_plan.Next();
    if (status.ok()) *response = plan;
    return status;
  }
  grpc::Status GetFineTuningJob(grpc::ServerContext*, const v1::GetFineTuningJobRequest* request,
                                v1::FineTuningJob* response) override {
    grpc::Status status = get.Next();
    if (!status.ok()) return status;
    auto found = jobs.find(request->name());
    if (found == jobs.end())
      return FakeError{grpc::StatusCode::NOT_FOUND, request->name() + " does not exist"}.ToStatus();
    *response = found->second;
    return grpc::Status::OK;
  }
  grpc::Status ListFineTuningJobs(grpc::ServerContext*, const v1::ListFineTuningJobsRequest* request,
                                  v1::ListFineTuningJobsResponse* response) override {
    listed.push_back(*request);
    auto next = request->page_token().empty() ? jobs.begin() : jobs.find(request->page_token());
    for (int i = 0; next != jobs.end() && i < request->page_size(); ++i, ++next)
      *response->add_fine_tuning_jobs() = next->second;
    if (next != jobs.end()) response->set_next_page_token(next->first);
    return grpc::Status::OK;
  }
  grpc::Status CancelFineTuningJob(grpc::ServerContext*, const v1::CancelFineTuningJobRequest* request,
                                   v1::FineTuningJob* response) override {
    grpc::Status status = cancel.Next();
    cancelled.push_back(request->name());
    response->set_name(request->name());
    response->set_state(v1::FineTuningJob::STATE_CANCELLING);
    return status;
  }
  grpc::Status PauseFineTuningJob(grpc::ServerContext*, const v1::PauseFineTuningJobRequest* request, v1::FineTuningJob* response) override {
    response->set_name(request->name());
    response->set_state(v1::FineTuningJob::STATE_PAUSING);
    return grpc::Status::OK;
  }
  grpc::Status ResumeFineTuningJob(grpc::ServerContext*, const v1::ResumeFineTuningJobRequest* request, v1::FineTuningJob* response) override {
    response->set_name(request->name());
    response->set_state(v1::FineTuningJob::STATE_QUEUED);
    return grpc::Status::OK;
  }
  grpc::Status UpdateFineTuningJob(grpc::ServerContext*, const v1::UpdateFineTuningJobRequest* request, v1::FineTuningJob* response) override {
    updated.push_back(*request);
    *response = request->fine_tuning_job();
    response->set_state(v1::FineTuningJob::STATE_QUEUED);
    return grpc::Status::OK;
  }
  grpc::Status DeleteFineTuningJob(grpc::ServerContext*, const v1::DeleteFineTuningJobRequest* request,
                                   v1::DeleteFineTuningJobResponse*) override {
    deleted.push_back(request->name());
    return remove.Next();
  }
  grpc::Status ListJobEvents(grpc::ServerContext*, const v1::ListJobEventsRequest* request,
                             v1::ListJobEventsResponse* response) override {
    grpc::Status status = list_events.Next();
    for (const v1::JobEvent& event : stored) {
      if (event.sequence() > request->after_sequence() && response->events_size() < request->page_size())
        *response->add_events() = event;
    }
    return status;
  }
  grpc::Status ListJobMetrics(grpc::ServerContext*, const v1::ListJobMetricsRequest*,
                              v1::ListJobMetricsResponse* response) override {
    for (const v1::MetricPoint& point : metrics) *response->add_points() = point;
    return grpc::Status::OK;
  }
  grpc::Status WatchFineTuningJob(grpc::ServerContext* context, const v1::WatchFineTuningJobRequest* request,
                                  grpc::ServerWriter<v1::WatchFineTuningJobResponse>* writer) override {
    watched_after.push_back(request->after_sequence());
    if (streams.empty()) return Unavailable();
    const Stream stream = streams.front();
    streams.pop_front();
    for (const auto& message : stream.messages) writer->Write(message);
    // A hanging stream ends when the client gives it up; a deadline keeps a broken test from hanging.
    for (int i = 0; stream.hang && !context->IsCancelled() && i < 10'000; ++i) absl::SleepFor(absl::Milliseconds(1));
    return stream.end;
  }
};

class FakeCheckpoints final : public v1::CheckpointService::Service {
 public:
  v1::Checkpoint checkpoint;  // what GetCheckpoint answers whatever was asked
  std::map<std::string, v1::Checkpoint> by_name;  // in its place, when there are any
  std::map<std::string, std::string> contents;
  std::deque<int64_t> cut_after;  // as in FakeUploads
  int64_t piece_bytes = 10;
  std::vector<v1::DownloadCheckpointFileRequest> downloads;
  std::vector<v1::UpdateCheckpointRequest> updates;
  Script get, list, update, remove;

  void Add(const std::string& path, const std::string& content,
           v1::CheckpointFile::Purpose purpose = v1::CheckpointFile::PURPOSE_WEIGHTS) {
    v1::CheckpointFile& file = *checkpoint.add_files();
    file.set_path(path);
    file.set_size_bytes(static_cast<int64_t>(content.size()));
    file.set_sha256(Sha256Hex(content));
    file.set_purpose(purpose);
    contents[path] = content;
  }

  grpc::Status GetCheckpoint(grpc::ServerContext*, const v1::GetCheckpointRequest* request, v1::Checkpoint* response) override {
    *response = by_name.empty() ? checkpoint : by_name[request->name()];
    return get.Next();
  }
  grpc::Status ListCheckpoints(grpc::ServerContext*, const v1::ListCheckpointsRequest* request,
                               v1::ListCheckpointsResponse* response) override {
    if (by_name.empty()) *response->add_checkpoints() = checkpoint;
    for (auto it = by_name.rbegin(); it != by_name.rend(); ++it) {
      if (it->first.rfind(request->parent() + "/", 0) == 0) *response->add_checkpoints() = it->second;
    }
    return list.Next();
  }
  grpc::Status UpdateCheckpoint(grpc::ServerContext*, const v1::UpdateCheckpointRequest* request,
                                v1::Checkpoint* response) override {
    updates.push_back(*request);
    *response = checkpoint;
    response->set_pinned(request->checkpoint().pinned());
    return update.Next();
  }
  grpc::Status DeleteCheckpoint(grpc::ServerContext*, const v1::DeleteCheckpointRequest*,
                                v1::DeleteCheckpointResponse*) override {
    return remove.Next();
  }
  grpc::Status DownloadCheckpointFile(grpc::ServerContext*, const v1::DownloadCheckpointFileRequest* request,
                                      grpc::ServerWriter<v1::DownloadCheckpointFileResponse>* writer) override {
    downloads.push_back(*request);
    const std::string& content = contents[request->path()];
    int64_t left = cut_after.empty() ? INT64_MAX : cut_after.front();
    if (!cut_after.empty()) cut_after.pop_front();
    v1::DownloadCheckpointFileResponse piece;
    for (int64_t offset = request->offset(); offset < static_cast<int64_t>(content.size()); offset += piece_bytes) {
      if (left < piece_bytes) return Unavailable();
      left -= piece_bytes;
      piece.set_offset(offset);
      piece.set_data(content.substr(static_cast<size_t>(offset), static_cast<size_t>(piece_bytes)));
      writer->Write(piece);
    }
    return grpc::Status::OK;
  }
};

class FakeDatasets final : public v1::DatasetService::Service {
 public:
  struct Import {
    std::vector<v1::ImportDatasetResponse> messages;
    grpc::Status end = grpc::Status::OK;
  };
  std::deque<Import> imports;
  std::vector<v1::ImportDatasetRequest> requests;
  std::deque<v1::Dataset> answers;  // of GetDataset, in order; the last one stays
  std::map<int64_t, v1::PreviewRow> named_rows;  // what PreviewRows has of row_indices; others are missing
  int most_named_rows = 1000;                    // in one answer
  std::vector<v1::PreviewRowsRequest> previews;
  Script get, remove, preview;

  grpc::Status ImportDataset(grpc::ServerContext*, const v1::ImportDatasetRequest* request,
                             grpc::ServerWriter<v1::ImportDatasetResponse>* writer) override {
    requests.push_back(*request);
    if (imports.empty()) return Unavailable();
    const Import import = imports.front();
    imports.pop_front();
    for (const auto& message : import.messages) writer->Write(message);
    return import.end;
  }
  grpc::Status GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest* request, v1::Dataset* response) override {
    grpc::Status status = get.Next();
    if (!status.ok()) return status;
    if (answers.empty()) return FakeError{grpc::StatusCode::NOT_FOUND, request->name() + " does not exist"}.ToStatus();
    *response = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return grpc::Status::OK;
  }
  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest*,
                            v1::ListDatasetsResponse* response) override {
    for (const v1::Dataset& dataset : answers) *response->add_datasets() = dataset;
    return grpc::Status::OK;
  }
  grpc::Status PreviewRows(grpc::ServerContext*, const v1::PreviewRowsRequest* request,
                           v1::PreviewRowsResponse* response) override {
    previews.push_back(*request);
    grpc::Status status = preview.Next();
    if (!status.ok()) return status;
    for (int i = 0; i < std::min(request->row_indices_size(), most_named_rows); ++i)
      *response->add_rows() = named_rows[request->row_indices(i)];
    if (request->row_indices_size() > 0) return grpc::Status::OK;
    for (int i = 0; i < request->page_size(); ++i)
      response->add_rows()->mutable_input()->set_text("row " + std::to_string(i));
    response->set_next_page_token("more");
    return grpc::Status::OK;
  }
  grpc::Status DeleteDataset(grpc::ServerContext*, const v1::DeleteDatasetRequest*,
                             v1::DeleteDatasetResponse*) override {
    return remove.Next();
  }
};

class FakeModels final : public v1::ModelService::Service {
 public:
  Script get, import;
  std::vector<v1::ImportModelRequest> requests;
  v1::Model imported;                   // what an import answers, name aside
  std::vector<v1::DescribeLayersRequest> described;
  absl::Notification* block = nullptr;  // GetModel waits for it

  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request, v1::Model* response) override {
    if (block != nullptr) block->WaitForNotification();
    response->set_name(request->name());
    return get.Next();
  }
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    response->add_models()->set_name("models/minilm");
    return grpc::Status::OK;
  }
  grpc::Status DescribeLayers(grpc::ServerContext*, const v1::DescribeLayersRequest* request,
                              v1::DescribeLayersResponse* response) override {
    described.push_back(*request);
    response->add_layers()->set_name("encoder.layer.0.weight");
    for (const std::string& pattern : request->patterns()) response->add_matches()->set_pattern(pattern);
    return grpc::Status::OK;
  }
  grpc::Status ListArchitectures(grpc::ServerContext*, const v1::ListArchitecturesRequest*,
                                 v1::ListArchitecturesResponse* response) override {
    response->add_architectures()->set_name("bert");  // its modality is left out, as by servers of before images
    v1::Architecture& resnet = *response->add_architectures();
    resnet.set_name("resnet50");
    resnet.set_modality("image");
    return grpc::Status::OK;
  }
  grpc::Status ImportModel(grpc::ServerContext*, const v1::ImportModelRequest* request, v1::Model* response) override {
    requests.push_back(*request);
    *response = imported;
    response->set_name("models/" + request->model_id());
    return import.Next();
  }
};

class FakePrediction final : public v1::PredictionService::Service {
 public:
  std::vector<v1::PredictRequest> requests;
  std::vector<v1::EvaluateRequest> evaluate_requests;
  Script evaluate;  // each fails after two messages of progress
  v1::CheckpointEvaluation evaluation;
  bool ends_without_result = false;  // the next one

  grpc::Status Evaluate(grpc::ServerContext*, const v1::EvaluateRequest* request,
                        grpc::ServerWriter<v1::EvaluateResponse>* writer) override {
    evaluate_requests.push_back(*request);
    const grpc::Status status = evaluate.Next();
    for (int64_t rows : {0, 64}) {
      v1::EvaluateResponse response;
      response.mutable_progress()->set_rows_done(rows);
      response.mutable_progress()->set_rows_total(128);
      writer->Write(response);
    }
    if (!status.ok() || std::exchange(ends_without_result, false)) return status;
    v1::EvaluateResponse last;
    *last.mutable_result() = evaluation;
    writer->Write(last);
    return status;
  }

  grpc::Status Predict(grpc::ServerContext*, const v1::PredictRequest* request,
                       v1::PredictResponse* response) override {
    requests.push_back(*request);
    size_t image_bytes = 0;
    for (const std::string& image : request->images()) image_bytes += image.size();
    if (request->inputs_size() + request->images_size() < 1 || request->inputs_size() > 256 ||
        request->images_size() > 64 || image_bytes > 32 << 20)
      return {grpc::StatusCode::INVALID_ARGUMENT, "1 to 256 texts, or 1 to 64 images of 32 MiB together"};
    response->set_checkpoint("fineTuningJobs/j1/checkpoints/30");
    for (const v1::TextInput& input : request->inputs()) Add(input.text(), response);
    for (const std::string& image : request->images()) Add(image.substr(0, 20), response);
    return grpc::Status::OK;
  }

 private:
  static void Add(const std::string& label, v1::PredictResponse* response) {
    v1::Prediction& prediction = *response->add_predictions();
    prediction.add_labels(label);
    v1::ClassScore& score = *prediction.add_scores();
    score.set_label(label);
    score.set_score(0.75);
  }
};

class FakeSystem final : public v1::SystemService::Service {
 public:
  Script info;
  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*, v1::ServerInfo* response) override {
    response->set_version("1.2.3");
    return info.Next();
  }
  grpc::Status ListDevices(grpc::ServerContext*, const v1::ListDevicesRequest*,
                           v1::ListDevicesResponse* response) override {
    response->add_devices()->set_name("cpu");
    return grpc::Status::OK;
  }
};

// Makes tokens t1, t2, ..., and keeps what each call showed as its authorization.
class FakeAdmin final : public v1::AdminService::Service {
 public:
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request, v1::CreateTokenResponse* response) override {
    Note(*context);
    created.push_back(*request);
    if (grpc::Status status = create.Next(); !status.ok()) return status;
    v1::Token& token = *response->mutable_token();
    token.set_name("tokens/t" + std::to_string(tokens.size() + 1));
    token.set_display_name(request->display_name());
    *token.mutable_projects() = request->projects();
    *token.mutable_scopes() = request->scopes();
    if (request->has_expire_time()) *token.mutable_expire_time() = request->expire_time();
    tokens.push_back(token);
    response->set_secret("attune_t1_secret");
    return grpc::Status::OK;
  }
  grpc::Status ListTokens(grpc::ServerContext* context, const v1::ListTokensRequest*, v1::ListTokensResponse* response) override {
    Note(*context);
    for (const v1::Token& token : tokens) *response->add_tokens() = token;
    return grpc::Status::OK;
  }
  grpc::Status RevokeToken(grpc::ServerContext*, const v1::RevokeTokenRequest* request, v1::Token* response) override {
    for (v1::Token& token : tokens) {
      if (token.name() != request->name()) continue;
      token.mutable_revoke_time()->set_seconds(1'800'000'000);
      *response = token;
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "no such token"};
  }

  Script create;
  std::vector<v1::CreateTokenRequest> created;
  std::vector<v1::Token> tokens;
  std::vector<std::string> authorizations;

 private:
  void Note(const grpc::ServerContext& context) {
    const auto found = context.client_metadata().find("authorization");
    authorizations.push_back(found == context.client_metadata().end() ? "" : std::string(found->second.data(), found->second.size()));
  }
};

class FakeServer {
 public:
  FakeServer() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(36 << 20);
    for (grpc::Service* service : std::initializer_list<grpc::Service*>{&uploads, &jobs, &checkpoints, &datasets,
                                                                        &models, &prediction, &system, &admin}) {
      builder.RegisterService(service);
    }
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    server_ = builder.BuildAndStart();
  }
  ~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

  // What health checks say of the server as a whole (at first that it serves), or of a service, which they do not know before.
  void SetServing(bool serving, const std::string& service = "") { server_->GetHealthCheckService()->SetServingStatus(service, serving); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  ClientOptions Options() {
    ClientOptions options;
    options.address = address();
    options.retry.sleep = [this](absl::Duration wait) { sleeps.push_back(wait); };
    options.retry.random = [] { return 0.5; };
    return options;
  }
  std::unique_ptr<Client> Connect() { return Connect(Options()); }
  std::unique_ptr<Client> Connect(ClientOptions options) {
    return *Client::Connect(std::move(options), server_->InProcessChannel({}));
  }

  FakeUploads uploads;
  FakeJobs jobs;
  FakeCheckpoints checkpoints;
  FakeDatasets datasets;
  FakeModels models;
  FakePrediction prediction;
  FakeSystem system;
  FakeAdmin admin;
  std::vector<absl::Duration> sleeps;  // of the clients that Connect made

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace attune::client
