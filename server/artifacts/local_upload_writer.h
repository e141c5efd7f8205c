// LocalUploadWriter: the open end of an upload in LocalArtifactStore, and the lease that makes it the only one. For
// this folder only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_store.h"
#include "server/artifacts/background_sync.h"
#include "server/artifacts/upload_storage.h"
#include "server/base/files.h"
#include "server/base/sha256.h"

namespace attune::artifacts {

// The right to write one upload. A writer holds the mutex during each call.
struct UploadLease {
  absl::Mutex mutex;
  bool revoked ABSL_GUARDED_BY(mutex) = false;
  BackgroundSync* sync ABSL_GUARDED_BY(mutex) = nullptr;  // the writer's, while it lives

  // When this returns, the writer neither writes nor commits any more.
  void Revoke();
};

UploadInfo ToUploadInfo(const UploadRow& row);

class LocalUploadWriter final : public UploadWriter {
 public:
  // `row` is reconciled. Reads the committed bytes again to rebuild their hash. The caller holds lease->mutex.
  static absl::StatusOr<std::unique_ptr<UploadWriter>> Open(UploadStorage& storage, std::shared_ptr<UploadLease> lease,
                                                            UploadRow row);
  ~LocalUploadWriter() override;
  absl::Status Append(std::string_view data) override;
  absl::StatusOr<UploadInfo> Finish() override;

 private:
  LocalUploadWriter(UploadStorage& storage, std::shared_ptr<UploadLease> lease, UploadRow row,
                    std::unique_ptr<WritableFile> file, Sha256 hash);
  absl::Status Check() const ABSL_SHARED_LOCKS_REQUIRED(lease_->mutex);
  absl::Status Write(std::string_view piece);
  absl::Status SyncBehind();
  absl::Status SyncAndCommit(int64_t up_to);
  absl::Status Complete();
  absl::Status Break(absl::Status why);

  UploadStorage& storage_;
  const std::shared_ptr<UploadLease> lease_;
  UploadRow row_;  // committed_bytes as it was when the upload was opened; sync_.done() is what it is now
  std::unique_ptr<WritableFile> file_;  // null when complete or broken
  Sha256 hash_;
  int64_t appended_;     // bytes in the file, all hashed
  absl::Status broken_;  // what every later call returns
  BackgroundSync sync_;  // last, so that its thread ends before the rest goes
};

}  // namespace attune::artifacts
