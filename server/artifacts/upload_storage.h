// UploadStorage: an upload's row and files, moved together from state to state so that every crash in between can be
// mended. Owned by LocalArtifactStore, shared with its writers; for this folder only. Thread-safe; of one upload's
// calls, only one may run at a time unless said otherwise (UploadLease sees to that).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/artifacts/upload_rows.h"
#include "server/base/clock.h"
#include "server/base/files.h"

namespace attune::artifacts {

struct LocalArtifactStoreOptions {
  std::string root;                                  // made if need be
  absl::Duration upload_lifetime = absl::Hours(24);  // an upload expires this long after its last committed byte
  int64_t sync_every_bytes = 8 << 20;                // a sync begins when this much is waiting
  int64_t max_unsynced_bytes = 64 << 20;             // and an upload waits with this much: the most that a crash loses
  int64_t keep_free_bytes = 256 << 20;  // an upload that would leave less on the disk is refused at the start
};

class UploadStorage {
 public:
  UploadStorage(LocalArtifactStoreOptions options, Database& database, Files& files, const Clock& clock);

  // Once, before anything else: makes directories and tables, mends what a crash left, removes what no row knows.
  absl::Status Start();

  // NOT_FOUND for a row that has expired, too. May run at any time.
  absl::StatusOr<UploadRow> Find(const std::string& id);

  // Makes file and row agree, whatever an error or a crash left: an active upload's file is cut at the committed bytes
  // (or, if it is shorter, the row follows it), and one that was completing is completed. Changes `row` with it.
  absl::Status Reconcile(UploadRow& row);
  // After the file was synced up to `committed_bytes`.
  absl::Status Commit(const std::string& id, int64_t committed_bytes);
  // After the file was synced with all its bytes: turns it into a blob.
  absl::Status Complete(const std::string& id, const std::string& sha256);
  // Back to no bytes at all.
  absl::Status Reset(const std::string& id);
  // Removes row, file, and the blob if this was its last upload. False when the row is not there or (with `expired_at`)
  // not expired. May run at any time: a writer that is still at it finds its row gone.
  absl::StatusOr<bool> Remove(const UploadRow& row, std::optional<absl::Time> expired_at);

  // Path of a complete upload's content; DATA_LOSS when somebody took it away. May run at any time.
  absl::StatusOr<std::string> ContentPath(const UploadRow& row);
  // Puts a blob's content at `path`. May run at any time.
  absl::Status Materialize(const std::string& sha256, const std::string& path);

  std::string PartPath(const std::string& id) const;
  std::string BlobPath(const std::string& sha256) const;
  absl::Time NewExpireTime() const { return clock_.Now() + options_.upload_lifetime; }
  UploadRows& rows() { return rows_; }
  Files& files() { return files_; }
  const LocalArtifactStoreOptions& options() const { return options_; }

 private:
  absl::Status ReconcileActive(UploadRow& row);
  absl::Status MoveToBlob(const std::string& id, const std::string& sha256) ABSL_EXCLUSIVE_LOCKS_REQUIRED(blobs_mutex_);
  absl::Status RemoveUnknownFiles(const std::vector<UploadRow>& rows);
  absl::Status Copy(const MappedFile& from, const std::string& to);

  const LocalArtifactStoreOptions options_;
  UploadRows rows_;
  Files& files_;
  const Clock& clock_;
  absl::Mutex blobs_mutex_;  // held while a blob comes, goes or is linked, so that none goes that was just counted on
};

}  // namespace attune::artifacts
