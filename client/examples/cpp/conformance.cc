// The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries.
// `run` starts it.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "attune/v1/checkpoint.grpc.pb.h"
#include "attune/v1/dataset.grpc.pb.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "attune/v1/prediction.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"
#include "client/examples/cpp/connection.h"
#include "client/examples/cpp/job_watch.h"
#include "client/examples/cpp/transfer.h"
#include "google/rpc/error_details.pb.h"

namespace example {
namespace {

namespace v1 = attune::v1;
using Jobs = v1::FineTuningJobService::Stub;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void Check(bool condition, const std::string& otherwise) {
  if (!condition) throw std::runtime_error(otherwise);
}

bool IsTerminal(const v1::JobEvent& event) { return event.state_changed().terminal(); }

class Scenario {
 public:
  explicit Scenario(const std::shared_ptr<grpc::Channel>& channel)
      : uploads_(v1::UploadService::NewStub(channel)),
        datasets_(v1::DatasetService::NewStub(channel)),
        jobs_(v1::FineTuningJobService::NewStub(channel)),
        checkpoints_(v1::CheckpointService::NewStub(channel)),
        predictions_(v1::PredictionService::NewStub(channel)) {}

  std::string Upload() {
    const std::string path = Environment("ATTUNE_DATASET_FILE"), content = ReadFile(path);
    const std::string name = CreateUpload(*uploads_, path, content).name();
    const v1::Upload begun = SendFirstPart(*uploads_, name, content.substr(0, content.size() / 2));
    Check(begun.committed_bytes() < static_cast<int64_t>(content.size()), "the upload was not cut");
    good_upload_ = SendRest(*uploads_, name, content);
    Check(good_upload_.state() == v1::Upload::STATE_COMPLETE, "the upload is not complete");
    Check(good_upload_.sha256() == Sha256(content), "the server has another SHA-256");
    return name;
  }

  std::string BadRow() {
    const std::string path = Environment("ATTUNE_BAD_DATASET_FILE"), content = ReadFile(path);
    const v1::Upload upload = SendRest(*uploads_, CreateUpload(*uploads_, path, content).name(), content);
    try {
      Import(upload);
    } catch (const CallError& error) {
      const auto info = FindDetail<google::rpc::ErrorInfo>(error.status());
      const auto request = FindDetail<google::rpc::BadRequest>(error.status());
      const bool expected = error.status().error_code() == grpc::StatusCode::INVALID_ARGUMENT && info &&
                            info->reason() == "BAD_ROWS" && info->domain() == "attune.dev";
      if (!expected || !request || request->field_violations().empty()) throw;
      return request->field_violations(0).field();
    }
    throw std::runtime_error("the import succeeded");
  }

  std::string ImportDataset() {
    dataset_ = Import(good_upload_);
    Check(dataset_.state() == v1::Dataset::STATE_READY, dataset_.name() + " is not ready");
    return dataset_.name() + " " + std::to_string(dataset_.report().rows_used());
  }

  std::string Create() {
    const v1::CreateFineTuningJobRequest request = JobRequest(3);
    job_ = Call(*jobs_, &Jobs::CreateFineTuningJob, request).name();
    const std::string again = Call(*jobs_, &Jobs::CreateFineTuningJob, request).name();
    Check(again == job_, "one request id made " + job_ + " and " + again);
    return job_;
  }

  std::string Watch() {
    JobWatch watch(*jobs_, job_);
    watch.Await("its third event", [](const v1::JobEvent& event) { return event.sequence() == 3; });
    const v1::JobEvent last = watch.Await("its end", IsTerminal);
    Check(last.state_changed().to() == "SUCCEEDED",
          "the job became " + last.state_changed().to() + ": " + last.state_changed().reason());
    v1::GetFineTuningJobRequest request;
    request.set_name(job_);
    Check(Call(*jobs_, &Jobs::GetFineTuningJob, request).state() == v1::FineTuningJob::STATE_SUCCEEDED,
          "GetFineTuningJob does not say so");
    return job_ + " " + std::to_string(watch.sequence());
  }

  std::string PauseResumeCancel() {
    long_job_ = Call(*jobs_, &Jobs::CreateFineTuningJob, JobRequest(200)).name();
    JobWatch watch(*jobs_, long_job_);
    watch.AwaitState("RUNNING");
    v1::PauseFineTuningJobRequest pause;
    pause.set_name(long_job_);
    Call(*jobs_, &Jobs::PauseFineTuningJob, pause);
    watch.AwaitState("PAUSED");
    v1::ResumeFineTuningJobRequest resume;
    resume.set_name(long_job_);
    Call(*jobs_, &Jobs::ResumeFineTuningJob, resume);
    watch.AwaitState("RUNNING");
    v1::CancelFineTuningJobRequest cancel;
    cancel.set_name(long_job_);
    Call(*jobs_, &Jobs::CancelFineTuningJob, cancel);
    const v1::JobEvent last = watch.Await("its end", IsTerminal);
    Check(last.state_changed().to() == "CANCELLED", "the job became " + last.state_changed().to());
    return long_job_;
  }

  std::string Pages() {
    std::multiset<std::string> names;
    v1::ListFineTuningJobsRequest request;
    request.set_page_size(1);
    do {
      const v1::ListFineTuningJobsResponse page = Call(*jobs_, &Jobs::ListFineTuningJobs, request);
      for (const v1::FineTuningJob& job : page.fine_tuning_jobs()) names.insert(job.name());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    Check(names.count(job_) == 1 && names.count(long_job_) == 1, "the pages do not list each job once");
    return std::to_string(names.size());
  }

  std::string Download() {
    v1::GetCheckpointRequest request;
    request.set_name(job_ + "/checkpoints/best");
    const v1::Checkpoint checkpoint = Call(*checkpoints_, &v1::CheckpointService::Stub::GetCheckpoint, request);
    for (const v1::CheckpointFile& file : checkpoint.files()) {
      if (file.path() != "model.safetensors") continue;
      std::string content;
      // By the name with the step: "best" may come to mean another checkpoint between the two calls.
      Receive(*checkpoints_, checkpoint.name(), file.path(), content, 1);
      Receive(*checkpoints_, checkpoint.name(), file.path(), content, 0);
      Check(Sha256(content) == file.sha256(),
            std::to_string(content.size()) + " bytes came with another SHA-256 than the checkpoint lists");
      return file.sha256();
    }
    throw std::runtime_error(checkpoint.name() + " has no model.safetensors");
  }

  std::string Predict() {
    v1::PredictRequest request;
    request.set_checkpoint(job_);
    request.add_inputs()->set_text("the film was great and the food was nice");
    request.add_inputs()->set_text("the book was awful and we hate it");
    const v1::PredictResponse response = Call(*predictions_, &v1::PredictionService::Stub::Predict, request);
    Check(response.predictions_size() == 2, std::to_string(response.predictions_size()) + " predictions for 2 texts");
    return response.predictions(0).labels(0) + " " + response.predictions(1).labels(0);
  }

 private:
  v1::Dataset Import(const v1::Upload& upload) {
    v1::ImportDatasetRequest request;
    request.add_files()->set_upload(upload.name());
    request.set_validation_fraction(0.1);
    request.set_test_fraction(0.1);
    request.set_request_id(NewRequestId());
    v1::Dataset dataset;
    Retry([&] {
      grpc::ClientContext context;
      SetDeadline(context);
      const auto stream = datasets_->ImportDataset(&context, request);
      v1::ImportDatasetResponse response;
      while (stream->Read(&response)) {  // messages before the last one say how far the import is
        if (response.has_dataset()) dataset = response.dataset();
      }
      const grpc::Status status = stream->Finish();
      if (status.ok() && dataset.name().empty())
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before the import did");
      return status;
    });
    return dataset;
  }

  v1::CreateFineTuningJobRequest JobRequest(int epochs) const {
    v1::CreateFineTuningJobRequest request;
    request.set_request_id(NewRequestId());
    request.mutable_spec()->set_base_model(Environment("ATTUNE_BASE_MODEL"));
    request.mutable_spec()->set_dataset(dataset_.name());
    v1::Hyperparameters& hyperparameters = *request.mutable_spec()->mutable_hyperparameters();
    hyperparameters.set_n_epochs(epochs);
    hyperparameters.set_batch_size(8);
    hyperparameters.set_learning_rate(1e-3);
    return request;
  }

  const std::unique_ptr<v1::UploadService::Stub> uploads_;
  const std::unique_ptr<v1::DatasetService::Stub> datasets_;
  const std::unique_ptr<Jobs> jobs_;
  const std::unique_ptr<v1::CheckpointService::Stub> checkpoints_;
  const std::unique_ptr<v1::PredictionService::Stub> predictions_;
  v1::Upload good_upload_;
  v1::Dataset dataset_;
  std::string job_, long_job_;
};

int Run() {
  std::string step = "connect";
  try {
    Scenario scenario(
        OpenChannel(Environment("ATTUNE_SERVER"), Environment("ATTUNE_CA_FILE"), Environment("ATTUNE_TOKEN")));
    const std::vector<std::pair<std::string, std::string (Scenario::*)()>> steps = {
        {"upload", &Scenario::Upload},        {"bad_row", &Scenario::BadRow},
        {"import", &Scenario::ImportDataset}, {"create", &Scenario::Create},
        {"watch", &Scenario::Watch},          {"pause_resume_cancel", &Scenario::PauseResumeCancel},
        {"pages", &Scenario::Pages},          {"download", &Scenario::Download},
        {"predict", &Scenario::Predict}};
    for (const auto& [name, function] : steps) {
      step = name;
      std::printf("ok %s %s\n", name.c_str(), (scenario.*function)().c_str());
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "failed %s: %s\n", step.c_str(), error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace example

int main() { return example::Run(); }
