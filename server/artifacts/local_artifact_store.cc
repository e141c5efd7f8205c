#include "server/artifacts/local_artifact_store.h"

#include <optional>
#include <utility>
#include <vector>

#include "server/artifacts/local_upload_writer.h"
#include "server/artifacts/upload_checks.h"
#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/projects.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::artifacts {
namespace {

absl::Status CheckOffset(const UploadRow& row, int64_t offset) {
  if (offset == row.committed_bytes) return absl::OkStatus();
  return absl::OutOfRangeError(StrCat("uploads/", row.id, " has ", row.committed_bytes, " committed bytes, and offset ",
                                      offset, " was asked for; continue from offset ", row.committed_bytes));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArtifactStore>> LocalArtifactStore::Create(LocalArtifactStoreOptions options,
                                                                          Database& database, Files& files,
                                                                          const Clock& clock) {
  std::unique_ptr<LocalArtifactStore> store(new LocalArtifactStore(std::move(options), database, files, clock));
  ATTUNE_RETURN_IF_ERROR(store->storage_.Start());
  return store;
}

absl::Status LocalArtifactStore::CheckFreeSpace(int64_t size_bytes) {
  ATTUNE_ASSIGN_OR_RETURN(int64_t free, storage_.files().FreeBytes(storage_.options().root));
  const int64_t usable = free - storage_.options().keep_free_bytes;
  if (size_bytes <= usable) return absl::OkStatus();
  return absl::ResourceExhaustedError(StrCat("the upload needs ", size_bytes,
                                             " bytes and the server's disk has room for ", usable > 0 ? usable : 0,
                                             "; delete what is not needed, or add disk"));
}

absl::StatusOr<UploadInfo> LocalArtifactStore::CreateUpload(const CreateUploadOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(CreateUploadOptions checked, CheckCreateUpload(options));
  const std::string digest = PayloadDigest(checked);
  bool is_retry = false;
  if (!checked.request_id.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(std::optional<UploadRow> first, storage_.rows().FindByRequestId(checked.request_id));
    if (first.has_value()) {
      ATTUNE_ASSIGN_OR_RETURN(bool expired, storage_.Remove(*first, clock_.Now()));
      is_retry = !expired;
    }
  }
  if (!is_retry) {
    if (checked.storage_check) ATTUNE_RETURN_IF_ERROR(checked.storage_check(ProjectOrDefault(checked.project), checked.size_bytes));
    ATTUNE_RETURN_IF_ERROR(CheckFreeSpace(checked.size_bytes));
  }
  const absl::Time now = clock_.Now();
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.rows().InsertOnce({.id = NewId('u'),
                                                                     .filename = checked.filename,
                                                                     .size_bytes = checked.size_bytes,
                                                                     .expected_sha256 = checked.expected_sha256,
                                                                     .create_time = now,
                                                                     .expire_time = storage_.NewExpireTime(),
                                                                     .request_id = checked.request_id,
                                                                     .project = ProjectOrDefault(checked.project),
                                                                     .payload_digest = digest}));
  return ToUploadInfo(row);
}

absl::StatusOr<UploadInfo> LocalArtifactStore::GetUpload(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.Find(id));
  return ToUploadInfo(row);
}

void LocalArtifactStore::ReplaceLease(const std::string& id, const std::shared_ptr<UploadLease>& lease) {
  std::shared_ptr<UploadLease> previous;
  {
    absl::MutexLock lock(&mutex_);
    std::erase_if(leases_, [](const auto& entry) { return entry.second.expired(); });
    if (auto found = leases_.find(id); found != leases_.end()) previous = found->second.lock();
    if (lease != nullptr) {
      leases_[id] = lease;
    } else {
      leases_.erase(id);
    }
  }
  if (previous != nullptr) previous->Revoke();
}

absl::StatusOr<std::unique_ptr<UploadWriter>> LocalArtifactStore::OpenUpload(const std::string& id, int64_t offset) {
  // A first look, so that a wrong offset does not cost another stream its lease.
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.Find(id));
  ATTUNE_RETURN_IF_ERROR(CheckOffset(row, offset));
  auto lease = std::make_shared<UploadLease>();
  absl::MutexLock lock(&lease->mutex);  // whoever opens next waits until this one is set up
  ReplaceLease(id, lease);
  // Now nobody else changes the upload, but the writer before may have committed more.
  ATTUNE_ASSIGN_OR_RETURN(row, storage_.Find(id));
  ATTUNE_RETURN_IF_ERROR(storage_.Reconcile(row));
  ATTUNE_RETURN_IF_ERROR(CheckOffset(row, offset));
  return LocalUploadWriter::Open(storage_, lease, std::move(row));
}

absl::Status LocalArtifactStore::DeleteUpload(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.rows().Find(id));  // an expired one may be deleted too
  ATTUNE_RETURN_IF_ERROR(storage_.Remove(row, std::nullopt).status());
  ReplaceLease(id, nullptr);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> LocalArtifactStore::CountOpenUploads() { return storage_.rows().CountOpen(); }

absl::StatusOr<int64_t> LocalArtifactStore::UploadBytes(const std::string& project) { return storage_.rows().SumBytes(project); }

absl::StatusOr<int64_t> LocalArtifactStore::RemoveExpiredUploads() {
  const absl::Time now = clock_.Now();
  ATTUNE_ASSIGN_OR_RETURN(std::vector<UploadRow> expired, storage_.rows().ExpiredAt(now));
  int64_t removed = 0;
  for (const UploadRow& row : expired) {
    ATTUNE_ASSIGN_OR_RETURN(bool gone, storage_.Remove(row, now));
    if (!gone) continue;  // its writer has just committed something
    ReplaceLease(row.id, nullptr);
    ++removed;
  }
  if (removed > 0) Log(LogLevel::kInfo, "expired uploads removed", {{"count", removed}});
  return removed;
}

absl::StatusOr<std::string> LocalArtifactStore::UploadPath(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.Find(id));
  return storage_.ContentPath(row);
}

absl::Status LocalArtifactStore::MaterializeUpload(const std::string& id, const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(UploadRow row, storage_.Find(id));
  ATTUNE_RETURN_IF_ERROR(storage_.ContentPath(row).status());
  return storage_.Materialize(row.sha256, path);
}

}  // namespace attune::artifacts
