// LocalArtifactStore: the ArtifactStore on a directory, with rows in the shared Database. Owned by main. Thread-safe;
// calls block on the disk.
//
//   {root}/uploads/{id}.part     an upload's bytes so far
//   {root}/blobs/ab/cdef...      complete content by its SHA-256, kept as long as an upload has it
//
// Committed bytes are bytes that were synced and then written down in the row, so they survive a crash; what the file
// has beyond them is cut off when the upload is opened again, and the hash is computed anew from the file. An upload
// that was completing when the server stopped is completed at the next start. Files in these folders that no row knows
// are removed at the start.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto store, LocalArtifactStore::Create({.root = "/data/artifacts"}, database,
//   Files::Posix(), Clock::System()));
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_store.h"
#include "server/artifacts/upload_storage.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/database/database.h"

namespace attune::artifacts {

struct UploadLease;

class LocalArtifactStore final : public ArtifactStore {
 public:
  // Everything given must outlive the store, and the store its writers.
  static absl::StatusOr<std::unique_ptr<ArtifactStore>> Create(LocalArtifactStoreOptions options, Database& database,
                                                               Files& files, const Clock& clock);

  absl::StatusOr<UploadInfo> CreateUpload(const CreateUploadOptions& options) override;
  absl::StatusOr<UploadInfo> GetUpload(const std::string& id) override;
  absl::StatusOr<std::unique_ptr<UploadWriter>> OpenUpload(const std::string& id, int64_t offset) override;
  absl::Status DeleteUpload(const std::string& id) override;
  absl::StatusOr<int64_t> RemoveExpiredUploads() override;
  absl::StatusOr<int64_t> CountOpenUploads() override;
  absl::StatusOr<int64_t> UploadBytes(const std::string& project) override;
  absl::StatusOr<std::string> UploadPath(const std::string& id) override;
  absl::Status MaterializeUpload(const std::string& id, const std::string& path) override;

 private:
  LocalArtifactStore(LocalArtifactStoreOptions options, Database& database, Files& files, const Clock& clock)
      : clock_(clock), storage_(std::move(options), database, files, clock) {}
  absl::Status CheckFreeSpace(int64_t size_bytes);
  // Puts `lease` (or none, when null) in the place of the upload's writer and waits until the one before has noticed.
  void ReplaceLease(const std::string& id, const std::shared_ptr<UploadLease>& lease);

  const Clock& clock_;
  UploadStorage storage_;
  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<UploadLease>> leases_ ABSL_GUARDED_BY(mutex_);  // by upload id
};

}  // namespace attune::artifacts
