// MemoryArtifactStore: complete uploads for code that reads them; their content is in a temporary directory.
// Header-only. Thread-safe.
//
//   MemoryArtifactStore artifacts;
//   artifacts.Put("train", "train.csv", "text,label\n...");     // uploads/train
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_store.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune {

class MemoryArtifactStore final : public artifacts::ArtifactStore {
 public:
  void Put(const std::string& id, const std::string& filename, const std::string& content, bool complete = true) {
    absl::MutexLock lock(&mutex_);
    std::ofstream(PathOf(id), std::ios::binary) << content;
    const auto size = static_cast<int64_t>(content.size());
    uploads_[id] = {.id = id,
                    .filename = filename,
                    .size_bytes = complete ? size : size + 1,
                    .committed_bytes = size,
                    .complete = complete,
                    .create_time = absl::UnixEpoch(),
                    .expire_time = absl::InfiniteFuture()};
  }

  absl::StatusOr<artifacts::UploadInfo> GetUpload(const std::string& id) override {
    absl::MutexLock lock(&mutex_);
    const auto found = uploads_.find(id);
    if (found == uploads_.end()) return absl::NotFoundError(StrCat("there is no upload uploads/", id));
    return found->second;
  }
  absl::StatusOr<std::string> UploadPath(const std::string& id) override {
    ATTUNE_ASSIGN_OR_RETURN(const artifacts::UploadInfo info, GetUpload(id));
    if (info.complete) return PathOf(id);
    return absl::FailedPreconditionError(
        StrCat("uploads/", id, " has ", info.committed_bytes, " of ", info.size_bytes, " bytes: finish it first"));
  }
  absl::Status MaterializeUpload(const std::string& id, const std::string& path) override {
    ATTUNE_ASSIGN_OR_RETURN(const std::string from, UploadPath(id));
    return Files::Posix().Link(from, path);
  }
  absl::Status DeleteUpload(const std::string& id) override {
    ATTUNE_RETURN_IF_ERROR(GetUpload(id).status());
    absl::MutexLock lock(&mutex_);
    uploads_.erase(id);
    return Files::Posix().Remove(PathOf(id));
  }
  absl::StatusOr<int64_t> RemoveExpiredUploads() override { return 0; }
  absl::StatusOr<int64_t> UploadBytes(const std::string&) override { return 0; }
  absl::StatusOr<int64_t> CountOpenUploads() override {
    absl::MutexLock lock(&mutex_);
    int64_t open = 0;
    for (const auto& [id, upload] : uploads_) open += !upload.complete;
    return open;
  }

  // Uploads are made by Put.
  absl::StatusOr<artifacts::UploadInfo> CreateUpload(const artifacts::CreateUploadOptions&) override {
    return absl::UnimplementedError("MemoryArtifactStore: use Put");
  }
  absl::StatusOr<std::unique_ptr<artifacts::UploadWriter>> OpenUpload(const std::string&, int64_t) override {
    return absl::UnimplementedError("MemoryArtifactStore: use Put");
  }

 private:
  std::string PathOf(const std::string& id) const { return directory_.path() + "/" + id; }

  const TemporaryDirectory directory_;
  absl::Mutex mutex_;
  std::map<std::string, artifacts::UploadInfo> uploads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune
