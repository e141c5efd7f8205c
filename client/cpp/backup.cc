#include "client/cpp/backup.h"

#include <memory>

#include "client/cpp/channel.h"
#include "client/cpp/retry.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

absl::StatusOr<int64_t> Receive(Client& client, const std::string& part, const BackupOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> out, options.files->Create(part));
  int64_t received = 0, total = 0;
  ATTUNE_RETURN_IF_ERROR(client.BackupOnce([&](const v1::CreateBackupResponse& piece) -> absl::Status {
    if (piece.total_bytes() > 0) total = piece.total_bytes();
    ATTUNE_RETURN_IF_ERROR(out->Append(piece.data()));
    received += static_cast<int64_t>(piece.data().size());
    if (options.progress) options.progress(received, total);
    return absl::OkStatus();
  }));
  ATTUNE_RETURN_IF_ERROR(out->Sync());
  ATTUNE_RETURN_IF_ERROR(out->Close());
  return received;
}

}  // namespace

absl::StatusOr<int64_t> SaveBackup(Client& client, const std::string& path, const BackupOptions& options) {
  if (FileExists(path)) return absl::AlreadyExistsError(StrCat(path, " is there already; choose another name, or remove it"));
  const std::string part = path + ".part";
  Retrier retrier(client.options().retry);
  absl::StatusOr<int64_t> received = Receive(client, part, options);
  while (!received.ok() && retrier.WaitAfter(received.status())) received = Receive(client, part, options);
  if (!received.ok()) {
    options.files->Remove(part).IgnoreError();
    return ExplainFinal(received.status(), client.options(), retrier.failures());
  }
  ATTUNE_RETURN_IF_ERROR(options.files->Rename(part, path));
  const size_t slash = path.rfind('/');
  ATTUNE_RETURN_IF_ERROR(options.files->SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  return received;
}

}  // namespace attune::client
