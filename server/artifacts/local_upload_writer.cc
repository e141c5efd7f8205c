#include "server/artifacts/local_upload_writer.h"

#include <algorithm>
#include <utility>

#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::artifacts {

void UploadLease::Revoke() {
  absl::MutexLock lock(&mutex);  // waits for a call that is under way
  revoked = true;
  if (sync != nullptr) sync->Quiesce();
}

UploadInfo ToUploadInfo(const UploadRow& row) {
  return {.id = row.id,
          .filename = row.filename,
          .size_bytes = row.size_bytes,
          .committed_bytes = row.committed_bytes,
          .sha256 = row.complete ? row.sha256 : row.expected_sha256,
          .complete = row.complete,
          .create_time = row.create_time,
          .expire_time = row.expire_time,
          .project = row.project};
}

LocalUploadWriter::LocalUploadWriter(UploadStorage& storage, std::shared_ptr<UploadLease> lease, UploadRow row,
                                     std::unique_ptr<WritableFile> file, Sha256 hash)
    : storage_(storage),
      lease_(std::move(lease)),
      row_(std::move(row)),
      file_(std::move(file)),
      hash_(std::move(hash)),
      appended_(row_.committed_bytes),
      sync_(row_.committed_bytes, [this](int64_t up_to) { return SyncAndCommit(up_to); }) {
  lease_->sync = &sync_;
}

absl::StatusOr<std::unique_ptr<UploadWriter>> LocalUploadWriter::Open(UploadStorage& storage,
                                                                      std::shared_ptr<UploadLease> lease,
                                                                      UploadRow row) {
  Sha256 hash;
  std::unique_ptr<WritableFile> file;
  if (!row.complete) {
    const std::string path = storage.PartPath(row.id);
    const bool is_new = !FileExists(path);
    if (!is_new) ATTUNE_RETURN_IF_ERROR(UpdateFromFile(path, hash));
    ATTUNE_ASSIGN_OR_RETURN(file, storage.files().OpenForAppend(path));
    if (is_new) ATTUNE_RETURN_IF_ERROR(storage.files().SyncDirectory(storage.options().root + "/uploads"));
  }
  // Made last: its destructor takes the lease's mutex, which the caller holds.
  return std::unique_ptr<UploadWriter>(
      new LocalUploadWriter(storage, std::move(lease), std::move(row), std::move(file), std::move(hash)));
}

LocalUploadWriter::~LocalUploadWriter() {
  absl::MutexLock lock(&lease_->mutex);
  lease_->sync = nullptr;
  sync_.Quiesce();
  if (!Check().ok() || row_.complete || appended_ == sync_.done()) return;
  absl::Status status = sync_.RunNow(appended_);
  if (!status.ok()) {
    Log(LogLevel::kWarning, "the last bytes of a cut upload are not kept",
        {{"upload", row_.id}, {"error", status.ToString()}});
  }
}

absl::Status LocalUploadWriter::Check() const {
  if (lease_->revoked) {
    return absl::AbortedError(
        StrCat("uploads/", row_.id, " was opened again or deleted by another call; this stream is over"));
  }
  return broken_;
}

absl::Status LocalUploadWriter::Break(absl::Status why) {
  sync_.Quiesce();
  broken_ = why;
  file_.reset();
  // Whoever deleted the row may have done so before this writer made the file.
  if (absl::IsNotFound(why)) storage_.files().Remove(storage_.PartPath(row_.id)).IgnoreError();
  return why;
}

absl::Status LocalUploadWriter::Append(std::string_view data) {
  absl::MutexLock lock(&lease_->mutex);
  ATTUNE_RETURN_IF_ERROR(Check());
  if (static_cast<int64_t>(data.size()) > row_.size_bytes - appended_) {
    return absl::InvalidArgumentError(StrCat("uploads/", row_.id, " was created for ", row_.size_bytes, " bytes, and ",
                                             data.size(), " more came after ", appended_,
                                             "; create a new upload with the right size"));
  }
  while (!data.empty()) {
    const int64_t room = storage_.options().sync_every_bytes - (appended_ - sync_.requested());
    const std::string_view piece = data.substr(0, static_cast<size_t>(std::max<int64_t>(1, room)));
    ATTUNE_RETURN_IF_ERROR(Write(piece));
    data.remove_prefix(piece.size());
    if (appended_ < row_.size_bytes) ATTUNE_RETURN_IF_ERROR(SyncBehind());  // Finish syncs the end
  }
  return absl::OkStatus();
}

absl::Status LocalUploadWriter::Write(std::string_view piece) {
  absl::Status written = file_->Append(piece);
  if (written.ok()) {
    hash_.Update(piece);
    appended_ += static_cast<int64_t>(piece.size());
    return absl::OkStatus();
  }
  // The disk is full, most likely. Keep what was complete before this piece: it need not be sent again.
  sync_.Quiesce();
  if (storage_.files().Truncate(storage_.PartPath(row_.id), appended_).ok() && appended_ > sync_.done()) {
    sync_.RunNow(appended_).IgnoreError();
  }
  return Break(absl::Status(written.code(), StrCat(written.message(), "; ", sync_.done(), " of ", row_.size_bytes,
                                                   " bytes are kept, continue from there")));
}

absl::Status LocalUploadWriter::SyncBehind() {
  const LocalArtifactStoreOptions& options = storage_.options();
  if (appended_ - sync_.requested() < options.sync_every_bytes) return absl::OkStatus();
  sync_.Request(appended_);
  // Also how an error of the background is noticed: at the latest when the limit is reached.
  absl::Status status = sync_.WaitFor(appended_ - std::max(options.max_unsynced_bytes, options.sync_every_bytes) + 1);
  return status.ok() ? status : Break(status);
}

absl::Status LocalUploadWriter::SyncAndCommit(int64_t up_to) {
  // A failed sync is never tried again: the kernel may call lost pages clean, so that a second try would prove nothing.
  ATTUNE_RETURN_IF_ERROR(file_->Sync());
  return storage_.Commit(row_.id, up_to);
}

absl::StatusOr<UploadInfo> LocalUploadWriter::Finish() {
  absl::MutexLock lock(&lease_->mutex);
  ATTUNE_RETURN_IF_ERROR(Check());
  if (!row_.complete) {
    if (appended_ == row_.size_bytes) {
      ATTUNE_RETURN_IF_ERROR(Complete());
    } else if (absl::Status status = sync_.RunNow(appended_); !status.ok()) {
      return Break(status);
    }
    ATTUNE_ASSIGN_OR_RETURN(row_, storage_.Find(row_.id));
  }
  return ToUploadInfo(row_);
}

absl::Status LocalUploadWriter::Complete() {
  sync_.Quiesce();
  // The row gets its bytes and its hash at once, so only the file is synced here.
  absl::Status synced = sync_.WaitFor(0);
  if (synced.ok()) synced = file_->Sync();
  if (!synced.ok()) return Break(synced);
  const std::string sha256 = hash_.HexDigest();
  if (!row_.expected_sha256.empty() && sha256 != row_.expected_sha256) {
    ATTUNE_RETURN_IF_ERROR(storage_.Reset(row_.id));
    return Break(absl::DataLossError(
        StrCat("uploads/", row_.id, ": the content has SHA-256 ", sha256, " and not ", row_.expected_sha256,
               "; it was damaged on the way or the file changed. The upload is empty again: send "
               "the file from offset 0")));
  }
  absl::Status closed = file_->Close();
  if (!closed.ok()) return Break(closed);
  absl::Status completed = storage_.Complete(row_.id, sha256);
  if (!completed.ok()) return Break(completed);
  row_.complete = true;
  Log(LogLevel::kInfo, "upload complete", {{"upload", row_.id}, {"bytes", row_.size_bytes}, {"sha256", sha256}});
  return absl::OkStatus();
}

}  // namespace attune::artifacts
