// One try of each stream.
#include "absl/time/time.h"
#include "client/cpp/channel.h"
#include "client/cpp/client.h"
#include "client/cpp/error.h"
#include "client/cpp/stall_guard.h"
#include "client/cpp/stubs.h"
#include "server/base/status_macros.h"

namespace attune::client {
namespace {

// Reads until the end, an error of `take`, or silence.
template <typename Response, typename Reader>
absl::Status TakeAll(grpc::ClientContext& context, StallGuard& guard, Reader& reader, const std::function<absl::Status(const Response&)>& take) {
  Response response;
  absl::Status taken;
  guard.Arm();
  while (taken.ok() && reader.Read(&response)) {
    guard.Disarm();
    taken = take(response);
    guard.Arm();
  }
  if (!taken.ok()) context.TryCancel();
  const absl::Status status = guard.Explain(ToStatus(reader.Finish()));
  guard.Disarm();
  return taken.ok() ? status : taken;
}

}  // namespace

absl::StatusOr<v1::Upload> Client::WriteUploadOnce(const std::string& name, int64_t offset,
                                                   const std::function<absl::StatusOr<std::string_view>()>& next) {
  grpc::ClientContext context;
  StallGuard guard(context, absl::Seconds(options_.stall_timeout_seconds));
  v1::Upload upload;
  auto writer = stubs_->uploads.WriteUpload(&context, &upload);
  v1::WriteUploadRequest message;
  message.set_name(name);
  message.set_offset(offset);
  absl::Status read;
  while (true) {
    auto piece = next();
    if (!piece.ok()) {
      read = piece.status();
      context.TryCancel();
      break;
    }
    // An upload that lacks nothing but its last answer still needs the first message.
    if (piece->empty() && message.name().empty()) break;
    message.set_data(piece->data(), piece->size());
    guard.Arm();
    const bool written = writer->Write(message);
    guard.Disarm();
    if (!written || piece->empty()) break;
    message.clear_name();
    message.clear_offset();
  }
  guard.Arm();
  writer->WritesDone();
  const absl::Status status = guard.Explain(ToStatus(writer->Finish()));
  guard.Disarm();
  ATTUNE_RETURN_IF_ERROR(read);
  ATTUNE_RETURN_IF_ERROR(status);
  return upload;
}

absl::Status Client::WatchOnce(const v1::WatchFineTuningJobRequest& request,
                               const std::function<bool(const v1::WatchFineTuningJobResponse&)>& take) {
  grpc::ClientContext context;
  StallGuard guard(context, absl::Seconds(options_.stall_timeout_seconds));
  auto reader = stubs_->jobs.WatchFineTuningJob(&context, request);
  v1::WatchFineTuningJobResponse response;
  bool stopped = false;
  guard.Arm();
  while (!stopped && reader->Read(&response)) {
    guard.Disarm();
    stopped = !take(response);
    guard.Arm();
  }
  if (stopped) context.TryCancel();
  const absl::Status status = guard.Explain(ToStatus(reader->Finish()));
  guard.Disarm();
  return stopped ? absl::OkStatus() : status;
}

absl::Status Client::DownloadOnce(const v1::DownloadCheckpointFileRequest& request,
                                  const std::function<absl::Status(const v1::DownloadCheckpointFileResponse&)>& take) {
  grpc::ClientContext context;
  StallGuard guard(context, absl::Seconds(options_.stall_timeout_seconds));
  return TakeAll(context, guard, *stubs_->checkpoints.DownloadCheckpointFile(&context, request), take);
}

absl::Status Client::BackupOnce(const std::function<absl::Status(const v1::CreateBackupResponse&)>& take) {
  grpc::ClientContext context;
  StallGuard guard(context, absl::Seconds(options_.long_call_timeout_seconds));  // the database is copied before the first piece
  return TakeAll(context, guard, *stubs_->admin.CreateBackup(&context, v1::CreateBackupRequest()), take);
}

}  // namespace attune::client
