#include "server/api/streams/backup_stream.h"

#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/api/grpc_status.h"
#include "server/api/streams/refusal.h"
#include "server/backup/archive.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

using Reactor = grpc::ServerWriteReactor<v1::CreateBackupResponse>;

constexpr size_t kPiecesAhead = 8;  // of 256 KiB
constexpr absl::Duration kPatience = absl::Minutes(2);

class BackupStream final : public Reactor {
 public:
  BackupStream(grpc::CallbackServerContext& context, const backup::SnapshotSources& sources, std::atomic<bool>& busy)
      : context_(context), sources_(sources), busy_(busy), thread_([this] { Make(); }) {}

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) cancelled_ = true;
    Advance();
  }
  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    Advance();
  }
  void OnDone() override {
    thread_.join();  // it has nothing to wait for any more
    busy_ = false;
    delete this;
  }

 private:
  // On the thread.
  void Make() {
    const absl::Status status = MakeArchive();
    if (!status.ok()) Log(LogLevel::kWarning, "a backup was not finished", {{"error", status.ToString()}});
    absl::MutexLock lock(&mutex_);
    end_ = status;
    Advance();
  }

  absl::Status MakeArchive() {
    ATTUNE_ASSIGN_OR_RETURN(auto snapshot, backup::BackupSnapshot::Take(sources_));
    Log(LogLevel::kInfo, "backup begins", {{"files", snapshot->names().size()}, {"bytes", snapshot->total_bytes()}});
    int64_t total = snapshot->total_bytes();
    ATTUNE_RETURN_IF_ERROR(backup::WriteArchive(*snapshot, [&](std::string_view data) { return Put(data, std::exchange(total, 0)); }));
    Log(LogLevel::kInfo, "backup ends");
    return absl::OkStatus();
  }

  absl::Status Put(std::string_view data, int64_t total) {
    v1::CreateBackupResponse piece;
    piece.set_data(std::string(data));
    piece.set_total_bytes(total);
    const auto room = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return cancelled_ || pieces_.size() < kPiecesAhead; };
    absl::MutexLock lock(&mutex_);
    // A client that does not read would keep the only backup, and on the disk all that is removed meanwhile.
    if (!mutex_.AwaitWithTimeout(absl::Condition(&room), kPatience)) {
      cancelled_ = true;
      context_.TryCancel();  // else the piece that nobody reads would be on its way for ever
      return absl::DeadlineExceededError(StrCat("nothing of the backup was read for ", absl::FormatDuration(kPatience), "; is the disk that it goes to full, or gone?"));
    }
    if (cancelled_) return absl::CancelledError("the client left");
    pieces_.push_back(std::move(piece));
    Advance();
    return absl::OkStatus();
  }

  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    if (!cancelled_ && !pieces_.empty()) {
      current_ = std::move(pieces_.front());
      pieces_.pop_front();
      writing_ = true;
      StartWrite(&current_);
    } else if (end_.has_value()) {
      finished_ = true;
      Finish(ToGrpcStatus(*end_));
    }
  }

  grpc::CallbackServerContext& context_;
  const backup::SnapshotSources& sources_;
  std::atomic<bool>& busy_;
  absl::Mutex mutex_;
  std::deque<v1::CreateBackupResponse> pieces_ ABSL_GUARDED_BY(mutex_);
  v1::CreateBackupResponse current_ ABSL_GUARDED_BY(mutex_);  // gRPC's while it is written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false, cancelled_ ABSL_GUARDED_BY(mutex_) = false, finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // once the thread is done
  std::thread thread_;                                       // last: it uses the rest
};

}  // namespace

Reactor* StartBackup(grpc::CallbackServerContext& context, const backup::SnapshotSources& sources, std::atomic<bool>& busy) {
  if (busy.exchange(true)) return new Refusal<v1::CreateBackupResponse>(absl::ResourceExhaustedError("another backup is being made; try again when it has ended"));
  return new BackupStream(context, sources, busy);
}

}  // namespace attune::api
