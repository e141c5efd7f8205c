#include "server/main/check_data.h"

#include <map>
#include <memory>
#include <utility>

#include "server/artifacts/local_artifact_store.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/model_catalogue.h"
#include "server/catalogue/model_digest.h"
#include "server/database/database.h"
#include "server/datasets/dataset_store.h"
#include "server/examples/example.h"
#include "server/jobs/sqlite_job_store.h"
#include "server/main/data_directory.h"
#include "server/scheduler/checkpoint_files.h"

namespace attune {
namespace {

constexpr int32_t kPage = 1000;

absl::Status CheckModel(const std::string& directory, const std::string& digest) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(directory));
  std::map<std::string, std::string> digests;
  for (const std::string& name : names) {
    ATTUNE_ASSIGN_OR_RETURN(digests[name], Sha256OfFile(StrCat(directory, "/", name)));
  }
  return catalogue::ModelDigest(digests) == digest ? absl::OkStatus() : absl::DataLossError("its files are not those that were imported");
}

absl::Status CheckDataset(const std::string& directory, const std::string& digest) {
  ATTUNE_ASSIGN_OR_RETURN(auto reader, examples::ExampleReader::Open(directory));
  ATTUNE_RETURN_IF_ERROR(reader->VerifyDigest());
  return reader->manifest().digest == digest ? absl::OkStatus() : absl::DataLossError("its rows are not those that were imported");
}

class Check {
 public:
  explicit Check(std::string data_directory) : data_directory_(std::move(data_directory)) {}

  absl::StatusOr<DataReport> Run() {
    if (!FileExists(data_directory_ + "/attune.db")) return absl::NotFoundError(StrCat(data_directory_, " is no data directory: it has no attune.db"));
    Files& files = Files::Posix();
    const Clock& clock = Clock::System();
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<DataDirectory> lock, DataDirectory::Lock(data_directory_, files));
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(lock->Below("attune.db")));
    if (absl::Status status = database->CheckIntegrity(); !status.ok()) {
      report_.faults.push_back(std::string(status.message()));
      return report_;  // nothing that it says can be believed
    }
    ATTUNE_ASSIGN_OR_RETURN(auto artifacts, artifacts::LocalArtifactStore::Create({.root = lock->Below("artifacts")}, *database, files, clock));
    ATTUNE_ASSIGN_OR_RETURN(auto catalogue, catalogue::ModelCatalogue::Create(lock->Below("models"), *database, *artifacts, files, clock));
    ATTUNE_ASSIGN_OR_RETURN(auto datasets, datasets::DatasetStore::Create({.root = lock->Below("datasets")}, *database, *artifacts, files, clock,
                                                                          [&](const std::string& model) { return catalogue->Tokenizer(model); }));
    ATTUNE_ASSIGN_OR_RETURN(auto jobs, jobs::SqliteJobStore::Create(*database));
    ATTUNE_RETURN_IF_ERROR(CheckModels(*catalogue));
    ATTUNE_RETURN_IF_ERROR(CheckDatasets(*datasets));
    ATTUNE_RETURN_IF_ERROR(CheckCheckpoints(*jobs));
    return std::move(report_);
  }

 private:
  void Note(const std::string& what, const absl::Status& status) {
    if (!status.ok()) report_.faults.push_back(StrCat(what, ": ", std::string(status.message())));
  }

  absl::Status CheckModels(catalogue::ModelCatalogue& catalogue) {
    std::string token;
    do {
      ATTUNE_ASSIGN_OR_RETURN(v1::ListModelsResponse page, catalogue.List(ProjectSet::All(), kPage, token));
      for (const v1::Model& model : page.models()) {
        ++report_.models;
        const absl::StatusOr<std::string> directory = catalogue.Directory(model.name());
        Note(model.name(), directory.ok() ? CheckModel(*directory, model.digest()) : directory.status());
      }
      token = page.next_page_token();
    } while (!token.empty());
    return absl::OkStatus();
  }

  absl::Status CheckDatasets(datasets::DatasetStore& datasets) {
    std::string token;
    do {
      ATTUNE_ASSIGN_OR_RETURN(v1::ListDatasetsResponse page, datasets.List(ProjectSet::All(), kPage, token));
      for (const v1::Dataset& dataset : page.datasets()) {
        if (dataset.state() != v1::Dataset::STATE_READY) continue;
        ++report_.datasets;
        const absl::StatusOr<std::string> directory = datasets.Directory(dataset.name());
        Note(dataset.name(), directory.ok() ? CheckDataset(*directory, dataset.digest()) : directory.status());
      }
      token = page.next_page_token();
    } while (!token.empty());
    return absl::OkStatus();
  }

  absl::Status CheckCheckpoints(jobs::JobStore& jobs) {
    ATTUNE_ASSIGN_OR_RETURN(std::vector<jobs::Job> all, jobs.LoadJobs());
    report_.jobs = static_cast<int64_t>(all.size());
    ATTUNE_ASSIGN_OR_RETURN(std::vector<jobs::CheckpointRecord> checkpoints, jobs.LoadCheckpoints());
    report_.checkpoints = static_cast<int64_t>(checkpoints.size());
    for (const jobs::CheckpointRecord& checkpoint : checkpoints) {
      Note(checkpoint.resource.name(), scheduler::VerifyCheckpoint(StrCat(data_directory_, "/jobs/", checkpoint.job_id, "/checkpoints/", checkpoint.directory), checkpoint.resource));
    }
    return absl::OkStatus();
  }

  const std::string data_directory_;
  DataReport report_;
};

}  // namespace

std::string DataReport::ToText() const {
  std::string text = StrCat(models, " models, ", datasets, " datasets, ", jobs, " jobs with ", checkpoints, " checkpoints: ");
  if (faults.empty()) return text + "all as the database says\n";
  StrAppend(&text, faults.size(), faults.size() == 1 ? " is" : " are", " damaged\n");
  for (const std::string& fault : faults) StrAppend(&text, "  ", fault, "\n");
  return text;
}

absl::StatusOr<DataReport> CheckData(const std::string& data_directory) { return Check(data_directory).Run(); }

}  // namespace attune
