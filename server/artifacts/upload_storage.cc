#include "server/artifacts/upload_storage.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::artifacts {
namespace {

constexpr size_t kCopyBytes = 1 << 20;
constexpr size_t kBlobFolderDigits = 2;  // 256 folders

std::string ParentOf(const std::string& path) { return std::filesystem::path(path).parent_path(); }

}  // namespace

UploadStorage::UploadStorage(LocalArtifactStoreOptions options, Database& database, Files& files, const Clock& clock)
    : options_(std::move(options)), rows_(database), files_(files), clock_(clock) {}

std::string UploadStorage::PartPath(const std::string& id) const {
  return StrCat(options_.root, "/uploads/", id, ".part");
}

std::string UploadStorage::BlobPath(const std::string& sha256) const {
  return StrCat(options_.root, "/blobs/", sha256.substr(0, kBlobFolderDigits), "/", sha256.substr(kBlobFolderDigits));
}

absl::Status UploadStorage::Start() {
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(options_.root + "/uploads"));
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(options_.root + "/blobs"));
  ATTUNE_RETURN_IF_ERROR(rows_.Migrate());
  ATTUNE_ASSIGN_OR_RETURN(std::vector<UploadRow> rows, rows_.All());
  for (UploadRow& row : rows) ATTUNE_RETURN_IF_ERROR(Reconcile(row));
  return RemoveUnknownFiles(rows);
}

absl::Status UploadStorage::RemoveUnknownFiles(const std::vector<UploadRow>& rows) {
  std::set<std::string> known;
  for (const UploadRow& row : rows) known.insert(row.sha256.empty() ? PartPath(row.id) : BlobPath(row.sha256));
  std::vector<std::string> folders = {options_.root + "/uploads"};
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> blob_folders, ListDirectory(options_.root + "/blobs"));
  for (const std::string& name : blob_folders) {
    if (name.size() == kBlobFolderDigits) folders.push_back(StrCat(options_.root, "/blobs/", name));
  }
  for (const std::string& folder : folders) {
    ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(folder));
    for (const std::string& name : names) {
      std::string path = StrCat(folder, "/", name);
      if (known.count(path) != 0) continue;
      Log(LogLevel::kInfo, "removed a file that no upload knows", {{"path", path}});
      ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(path));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UploadRow> UploadStorage::Find(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, rows_.Find(id));
  if (row.expire_time > clock_.Now()) return row;
  return absl::NotFoundError(StrCat("uploads/", id, " has expired; create a new upload"));
}

absl::Status UploadStorage::Reconcile(UploadRow& row) {
  if (row.complete) return absl::OkStatus();
  if (row.sha256.empty()) return ReconcileActive(row);
  absl::MutexLock lock(&blobs_mutex_);
  absl::Status completed = MoveToBlob(row.id, row.sha256);
  if (completed.ok()) {
    row.complete = true;
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(completed)) return completed;
  // Neither file nor blob is there: all is to be sent again.
  row.sha256.clear();
  row.committed_bytes = 0;
  return Reset(row.id);
}

absl::Status UploadStorage::ReconcileActive(UploadRow& row) {
  const std::string path = PartPath(row.id);
  absl::StatusOr<int64_t> size = FileSize(path);
  if (absl::IsNotFound(size.status())) size = 0;
  if (!size.ok()) return size.status();
  if (*size > row.committed_bytes) return files_.Truncate(path, row.committed_bytes);
  if (*size == row.committed_bytes) return absl::OkStatus();
  Log(LogLevel::kWarning, "an upload's file is shorter than it should be",
      {{"path", path}, {"bytes", *size}, {"committed_bytes", row.committed_bytes}});
  row.committed_bytes = *size;
  return rows_.SetCommitted(row.id, row.committed_bytes, row.expire_time);
}

absl::Status UploadStorage::Commit(const std::string& id, int64_t committed_bytes) {
  return rows_.SetCommitted(id, committed_bytes, NewExpireTime());
}

absl::Status UploadStorage::Complete(const std::string& id, const std::string& sha256) {
  absl::MutexLock lock(&blobs_mutex_);
  // From here on a crash is mended by Start: the hash in the row says which blob the file becomes.
  ATTUNE_RETURN_IF_ERROR(rows_.SetCompleting(id, sha256, NewExpireTime()));
  return MoveToBlob(id, sha256);
}

absl::Status UploadStorage::MoveToBlob(const std::string& id, const std::string& sha256) {
  const std::string part = PartPath(id);
  const std::string blob = BlobPath(sha256);
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(ParentOf(blob)));
  // An equal blob of another upload is replaced: this content was just verified.
  absl::Status renamed = files_.Rename(part, blob);
  if (!renamed.ok() && !(absl::IsNotFound(renamed) && FileExists(blob))) return renamed;
  ATTUNE_RETURN_IF_ERROR(files_.SyncDirectory(ParentOf(blob)));
  return rows_.SetComplete(id);
}

absl::Status UploadStorage::Reset(const std::string& id) {
  // The row first: Reconcile cuts a file that is longer than its row says.
  ATTUNE_RETURN_IF_ERROR(rows_.SetEmpty(id, NewExpireTime()));
  return files_.Remove(PartPath(id));
}

absl::StatusOr<bool> UploadStorage::Remove(const UploadRow& row, std::optional<absl::Time> expired_at) {
  absl::MutexLock lock(&blobs_mutex_);
  absl::StatusOr<UploadRow> now = rows_.Find(row.id);  // it may have completed since
  if (absl::IsNotFound(now.status())) return false;
  if (!now.ok()) return now.status();
  ATTUNE_ASSIGN_OR_RETURN(bool deleted, rows_.Delete(row.id, expired_at));
  if (!deleted) return false;
  ATTUNE_RETURN_IF_ERROR(files_.Remove(PartPath(row.id)));
  if (now->sha256.empty()) return true;
  ATTUNE_ASSIGN_OR_RETURN(bool referenced, rows_.IsReferenced(now->sha256));
  if (!referenced) ATTUNE_RETURN_IF_ERROR(files_.Remove(BlobPath(now->sha256)));
  return true;
}

absl::StatusOr<std::string> UploadStorage::ContentPath(const UploadRow& row) {
  if (!row.complete) {
    return absl::FailedPreconditionError(StrCat("uploads/", row.id, " has ", row.committed_bytes, " of ",
                                                row.size_bytes, " bytes; send the rest first"));
  }
  std::string path = BlobPath(row.sha256);
  if (FileExists(path)) return path;
  return absl::DataLossError(StrCat("the content of uploads/", row.id, " is gone from ", path, "; upload it again"));
}

absl::Status UploadStorage::Materialize(const std::string& sha256, const std::string& path) {
  const std::string blob = BlobPath(sha256);
  std::shared_ptr<const MappedFile> content;
  {
    absl::MutexLock lock(&blobs_mutex_);
    ATTUNE_RETURN_IF_ERROR(files_.Remove(path));
    absl::Status linked = files_.Link(blob, path);
    if (linked.ok()) return files_.SyncDirectory(ParentOf(path));
    // INTERNAL is what another file system, or one without hard links, answers.
    if (!absl::IsInternal(linked)) return linked;
    ATTUNE_ASSIGN_OR_RETURN(content, MappedFile::Open(blob));  // stays readable whatever becomes of the blob
  }
  absl::Status copied = Copy(*content, path);
  if (!copied.ok()) files_.Remove(path).IgnoreError();
  return copied;
}

absl::Status UploadStorage::Copy(const MappedFile& from, const std::string& to) {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files_.Create(to));
  for (std::string_view rest = from.view(); !rest.empty(); rest.remove_prefix(std::min(kCopyBytes, rest.size()))) {
    ATTUNE_RETURN_IF_ERROR(file->Append(rest.substr(0, kCopyBytes)));
  }
  ATTUNE_RETURN_IF_ERROR(file->Sync());
  ATTUNE_RETURN_IF_ERROR(file->Close());
  return files_.SyncDirectory(ParentOf(to));
}

}  // namespace attune::artifacts
