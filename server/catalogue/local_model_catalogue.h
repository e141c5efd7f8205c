// LocalModelCatalogue: the ModelCatalogue on a directory. Made by ModelCatalogue::Create.
//
//   {root}/{id}/               a model's files, as they were uploaded
//   {root}/.importing-{...}/   an import that is being checked
//
// An import becomes visible with its row, after its directory is complete and durable. Directories without a row (an
// import or a deletion that a crash cut off) are removed at the next start.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/catalogue/model_catalogue.h"
#include "server/catalogue/model_rows.h"

namespace attune::catalogue {

class LocalModelCatalogue final : public ModelCatalogue {
 public:
  LocalModelCatalogue(std::string root, Database& database, artifacts::ArtifactStore& artifacts, Files& files,
                      const Clock& clock);
  absl::Status Start();

  absl::StatusOr<v1::Model> Import(const v1::ImportModelRequest& request) override;
  absl::StatusOr<v1::Model> Get(const std::string& name) override;
  absl::StatusOr<v1::ListModelsResponse> List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) override;
  absl::Status Delete(const std::string& name) override;
  absl::StatusOr<v1::DescribeLayersResponse> DescribeLayers(const v1::DescribeLayersRequest& request) override;
  absl::StatusOr<std::string> Directory(const std::string& name) override;
  absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>> Tokenizer(const std::string& name) override;
  void SetInUseCheck(std::function<bool(const std::string& name)> in_use) override;
  void SetStorageCheck(artifacts::StorageCheck check) override;

 private:
  // Keeps other imports and deletions of an id out while it lives.
  class IdLock;

  // The model that this request made before, if it did. ALREADY_EXISTS when its request_id or its model_id is taken.
  absl::StatusOr<std::optional<v1::Model>> FindEarlier(const v1::ImportModelRequest& request,
                                                       const std::string& digest);
  absl::StatusOr<v1::Model> ImportNew(const v1::ImportModelRequest& request, const std::string& digest);
  // Puts the uploads into `staging`; adds up size and digest in `model`.
  absl::Status Gather(const v1::ImportModelRequest& request, const std::string& staging, v1::Model* model);
  absl::Status CheckStorage(const v1::Model& model);
  absl::Status Publish(const v1::ImportModelRequest& request, const std::string& digest, const std::string& staging,
                       const v1::Model& model);
  absl::StatusOr<v1::Model> Find(const std::string& id);
  std::string DirectoryOf(const std::string& id) const;

  const std::string root_;
  artifacts::ArtifactStore& artifacts_;
  Files& files_;
  const Clock& clock_;
  ModelRows rows_;

  absl::Mutex mutex_;
  std::set<std::string> busy_ids_ ABSL_GUARDED_BY(mutex_);
  std::function<bool(const std::string& name)> in_use_ ABSL_GUARDED_BY(mutex_);
  artifacts::StorageCheck storage_check_ ABSL_GUARDED_BY(mutex_);
  // Most recent first. By digest, for an id can come back with other files.
  std::deque<std::pair<std::string, std::shared_ptr<const tokenizers::Tokenizer>>> tokenizers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::catalogue
