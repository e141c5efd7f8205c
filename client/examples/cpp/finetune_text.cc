// The whole workflow: a pretrained model directory and a CSV file (columns text and label) become a fine-tuned
// classifier on this machine.
//
//   attune_example_finetune_text MODEL_DIR DATA.csv [OUT_DIR]        the server is ATTUNE_SERVER, else 127.0.0.1:50051

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cpp/client.h"
#include "client/cpp/download.h"
#include "client/cpp/error.h"
#include "client/cpp/import.h"
#include "client/cpp/names.h"
#include "client/cpp/watch.h"
#include "server/base/status_macros.h"

namespace {

namespace client = attune::client;
namespace v1 = attune::v1;

// One line for what happens to the job.
bool PrintEvent(const v1::JobEvent& event) {
  if (event.has_state_changed()) std::printf("%s\n", event.state_changed().to().c_str());
  if (event.has_evaluation()) {
    const auto& values = event.evaluation().values();
    const auto accuracy = values.find("accuracy");
    if (accuracy != values.end())
      std::printf("step %ld: accuracy %.3f\n", static_cast<long>(event.evaluation().step()), accuracy->second);
  }
  return true;  // go on watching
}

absl::Status Run(client::Client& client, const std::string& model_dir, const std::string& csv,
                 const std::string& out_dir) {
  // A base model from a directory that transformers' save_pretrained() wrote. It stays on the server for other jobs.
  v1::ImportModelRequest model_request;
  auto model = client::ImportModelDirectory(client, model_dir, model_request);
  if (absl::IsAlreadyExists(model.status())) {
    std::printf("the server has this model already\n");
    v1::GetModelRequest get;
    get.set_name("models/" + client::IdFromPath(model_dir));
    model = client.GetModel(get);
  }
  ATTUNE_RETURN_IF_ERROR(model.status());

  // A dataset: every row is checked; a tenth is drawn for validation, another tenth for the final figure.
  v1::ImportDatasetRequest dataset_request;
  dataset_request.set_validation_fraction(0.1);
  dataset_request.set_test_fraction(0.1);
  dataset_request.set_max_bad_rows(-1);  // leave out rows that cannot be used; the report names them
  ATTUNE_ASSIGN_OR_RETURN(const v1::Dataset dataset, client::ImportDatasetFiles(client, {{csv}}, dataset_request));
  std::printf("%s: %ld rows, %d labels\n", dataset.name().c_str(), static_cast<long>(dataset.report().rows_used()),
              dataset.labels_size());

  // A job. What is left out has good defaults: first the new head alone, then all layers at a smaller rate.
  v1::CreateFineTuningJobRequest job_request;
  job_request.mutable_spec()->set_base_model(model->name());
  job_request.mutable_spec()->set_dataset(dataset.name());
  job_request.mutable_spec()->mutable_hyperparameters()->set_n_epochs(1);
  ATTUNE_ASSIGN_OR_RETURN(v1::FineTuningJob job, client.CreateFineTuningJob(job_request));
  std::printf("%s\n", job.name().c_str());

  // Follow it. The job needs no watcher; this process could go away and ask later.
  ATTUNE_RETURN_IF_ERROR(client::WatchJob(client, job.name(), {}, PrintEvent));
  v1::GetFineTuningJobRequest get_job;
  get_job.set_name(job.name());
  ATTUNE_ASSIGN_OR_RETURN(job, client.GetFineTuningJob(get_job));
  if (job.state() != v1::FineTuningJob::STATE_SUCCEEDED)
    return absl::AbortedError("the job did not succeed: " + job.error().message());

  // Predict on the server,
  v1::PredictRequest predict;
  predict.set_checkpoint(job.best_checkpoint());
  for (const char* text : {"what a wonderful day", "this is the worst thing ever"})
    predict.add_inputs()->set_text(text);
  ATTUNE_ASSIGN_OR_RETURN(const v1::PredictResponse answer, client.Predict(predict));
  for (int i = 0; i < answer.predictions_size(); ++i) {
    std::printf("%s: %s\n", predict.inputs(i).text().c_str(), answer.predictions(i).labels(0).c_str());
  }

  // and take the model home: a directory for AutoModelForSequenceClassification.from_pretrained().
  ATTUNE_ASSIGN_OR_RETURN(const client::DownloadResult result,
                          client::DownloadCheckpoint(client, job.best_checkpoint(), out_dir));
  std::printf("%s is in %s\n", result.checkpoint.name().c_str(), out_dir.c_str());
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL_DIR DATA.csv [OUT_DIR]\n", argv[0]);
    return 2;
  }
  client::ClientOptions options;
  if (const char* server = std::getenv("ATTUNE_SERVER")) options.address = server;
  auto client = client::Client::Connect(options);
  const absl::Status status =
      client.ok() ? Run(**client, argv[1], argv[2], argc > 3 ? argv[3] : "finetuned") : client.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", client::DescribeError(status).ToString().c_str());
  return 1;
}
