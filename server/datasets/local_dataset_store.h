// LocalDatasetStore: the DatasetStore on a directory and the Database. See dataset_store.h for the interface, its
// threads and its errors.
//
// What is in {root}:
//   {id}/            a READY dataset
//   .import-{id}/    an import's scratch space
//   .deleted-{id}/   a dataset on its way out
//
// A dataset's directory is written in the scratch space and renamed into place before its row becomes READY; at start,
// scratch space and the directories of rows that are not READY are removed, so no crash leaves anything half-made.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/datasets/dataset_store.h"
#include "server/datasets/dataset_table.h"
#include "server/datasets/importing/import_plan.h"

namespace attune::datasets {

class LocalDatasetStore final : public DatasetStore {
 public:
  LocalDatasetStore(DatasetStoreOptions options, Database& database, artifacts::ArtifactStore& artifacts, Files& files,
                    const Clock& clock, TokenizerProvider tokenizers);

  // Creates tables and directory, and puts in order what the server's last run left.
  absl::Status Initialize();

  absl::StatusOr<v1::Dataset> Import(const v1::ImportDatasetRequest& request, const Progress& progress) override;
  absl::StatusOr<v1::Dataset> Get(const std::string& name) override;
  absl::StatusOr<v1::ListDatasetsResponse> List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) override;
  absl::StatusOr<int64_t> StoredBytes(const std::string& project) override;
  absl::Status Delete(const std::string& name) override;
  absl::StatusOr<v1::PreviewRowsResponse> Preview(const v1::PreviewRowsRequest& request) override;
  absl::StatusOr<std::string> Directory(const std::string& name) override;
  void SetInUseCheck(std::function<bool(const std::string& name)> in_use) override;
  void SetStorageCheck(artifacts::StorageCheck check) override;

 private:
  // An import that runs. Guarded by the store's mutex_.
  struct ActiveImport {
    int64_t rows_read = 0;
    double fraction = 0;
    bool done = false;
    absl::StatusOr<v1::Dataset> result = absl::UnknownError("the import has not ended");
  };
  // What Begin decided: an answer that is there already, an import to wait for, or a row to work on.
  struct Beginning {
    std::optional<absl::StatusOr<v1::Dataset>> answer;
    std::shared_ptr<ActiveImport> other;
    std::shared_ptr<ActiveImport> own;
    DatasetRow row;
    ImportPlan plan;
  };

  absl::StatusOr<Beginning> Begin(const v1::ImportDatasetRequest& request);
  // What a request_id that was used before leads to; nothing when it is new or its import may run again, which `id`
  // then names.
  absl::StatusOr<std::optional<Beginning>> FindEarlier(const v1::ImportDatasetRequest& request,
                                                       const std::string& digest, std::string& id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckIdIsFree(const std::string& id, std::string_view project) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckStorage(const std::string& project, int64_t added_bytes);
  absl::StatusOr<ImportPlan> MakePlan(const v1::ImportDatasetRequest& request);
  absl::StatusOr<v1::Dataset> WaitFor(const std::shared_ptr<ActiveImport>& import, const Progress& progress);
  absl::StatusOr<v1::Dataset> Work(Beginning& beginning, const Progress& progress);
  absl::Status MakeFiles(const Beginning& beginning, const Progress& progress, v1::Dataset& dataset);
  absl::StatusOr<v1::Dataset> Settle(const std::string& id, v1::Dataset dataset, absl::Status made);

  absl::Status RepairRow(const DatasetRow& row);
  absl::Status RemoveLeftovers();
  absl::StatusOr<DatasetRow> Find(const std::string& name);
  std::string Path(const std::string& id) const { return options_.root + "/" + id; }
  std::string ScratchPath(const std::string& id) const { return options_.root + "/.import-" + id; }
  std::string DeletedPath(const std::string& id) const { return options_.root + "/.deleted-" + id; }

  const DatasetStoreOptions options_;
  DatasetTable table_;
  artifacts::ArtifactStore& artifacts_;
  Files& files_;
  const Clock& clock_;
  const TokenizerProvider tokenizers_;

  // Held while a row comes or goes, never during an import.
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<ActiveImport>> active_ ABSL_GUARDED_BY(mutex_);  // by dataset id
  std::function<bool(const std::string&)> in_use_ ABSL_GUARDED_BY(mutex_);
  artifacts::StorageCheck storage_check_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::datasets
