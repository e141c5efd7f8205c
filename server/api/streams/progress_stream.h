// ProgressStream: the stream of a call that takes minutes: progress at most each 200 ms, then one last message or the error. The work reports from any thread and keeps its
// share of this object; when the client leaves, the RPC ends, and `on_left` says so to the work (or nothing does, and it goes on). Thread-safe.
//
//   auto stream = ProgressStream<v1::ImportDatasetResponse>::Create();
//   pool.Run([stream] { stream->Report(progress); ...; stream->End(last); });
//   return stream->reactor();
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/grpc_status.h"

namespace attune::api {

template <typename Response>
class ProgressStream {
 public:
  using Reactor = grpc::ServerWriteReactor<Response>;

  static std::shared_ptr<ProgressStream> Create() {
    std::shared_ptr<ProgressStream> stream(new ProgressStream);
    stream->reactor_ = stream->writer_ = new Writer(stream);
    return stream;
  }
  // To be returned to gRPC, which owns it from then on; once.
  Reactor* reactor() const { return reactor_; }

  // Left out when the last message is less than 200 ms old or still on its way.
  void Report(Response progress) {
    absl::MutexLock lock(&mutex_);
    if (writer_ == nullptr || writing_ || left_ || absl::Now() - last_write_ < kInterval) return;
    message_ = std::move(progress);
    writing_ = true;
    last_write_ = absl::Now();
    writer_->StartWrite(&message_);
  }

  // The last message or the error; once. False when the client has left before.
  bool End(absl::StatusOr<Response> last) {
    absl::MutexLock lock(&mutex_);
    last_ = std::move(last);
    if (writer_ == nullptr) return false;
    if (!writing_) SendLast();
    return true;
  }

  // What happens when the client leaves; at once when it has left already. Once.
  void OnLeft(std::function<void()> on_left) {
    {
      absl::MutexLock lock(&mutex_);
      if (!left_) {
        on_left_ = std::move(on_left);
        return;
      }
    }
    on_left();
  }

 private:
  static constexpr absl::Duration kInterval = absl::Milliseconds(200);

  // gRPC calls OnDone only after Finish, and never from within a Start method or Finish, so all of those are called under the stream's lock.
  class Writer final : public Reactor {
   public:
    explicit Writer(std::shared_ptr<ProgressStream> stream) : stream_(std::move(stream)) {}
    void OnWriteDone(bool ok) override { stream_->WriteDone(ok); }
    void OnCancel() override { stream_->Left(); }
    void OnDone() override { delete this; }

   private:
    const std::shared_ptr<ProgressStream> stream_;
  };

  void WriteDone(bool ok) {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (writer_ == nullptr) return;
    if (!ok || left_) {
      FinishAs(grpc::Status::CANCELLED);
    } else if (last_.has_value()) {
      SendLast();
    }
  }

  void Left() {
    std::function<void()> on_left;
    {
      absl::MutexLock lock(&mutex_);
      left_ = true;
      on_left = std::exchange(on_left_, nullptr);
      if (writer_ != nullptr && !writing_) FinishAs(grpc::Status::CANCELLED);
    }
    if (on_left) on_left();
  }

  void SendLast() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!last_->ok()) return FinishAs(ToGrpcStatus(last_->status()));
    message_ = **std::move(last_);
    writer_->StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    writer_ = nullptr;
  }

  void FinishAs(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writer_->Finish(status);
    writer_ = nullptr;
  }

  Reactor* reactor_ = nullptr;  // constant after Create
  absl::Mutex mutex_;
  Writer* writer_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null once finished
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_write_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Response message_ ABSL_GUARDED_BY(mutex_);  // not touched while it is being written
  std::optional<absl::StatusOr<Response>> last_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> on_left_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::api
