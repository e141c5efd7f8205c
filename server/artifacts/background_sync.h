// BackgroundSync: makes an upload durable on a thread of its own while more bytes come, so that network, hashing and
// disk work at the same time. Runs never overlap; requests that come during a run are taken together by the next, so a
// fast upload syncs in larger and fewer steps. The thread starts with the first request: small uploads have none.
// Thread-safe, except that RunNow and the destructor are for the owner. For this folder only.
//
//   BackgroundSync sync(0, [&](int64_t up_to) { return SyncAndWriteDown(up_to); });
//   sync.Request(8 << 20);
//   ATTUNE_RETURN_IF_ERROR(sync.WaitFor(8 << 20));
#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace attune::artifacts {

class BackgroundSync {
 public:
  // Makes the first `up_to` bytes durable.
  using Function = std::function<absl::Status(int64_t up_to)>;

  // `done` bytes are durable already.
  BackgroundSync(int64_t done, Function function);
  // Drops what was requested and has not begun.
  ~BackgroundSync();
  BackgroundSync(const BackgroundSync&) = delete;
  BackgroundSync& operator=(const BackgroundSync&) = delete;

  void Request(int64_t up_to);
  // Waits until the first `up_to` bytes, which were requested before, are durable. Returns the first error of any run;
  // after it nothing runs any more.
  absl::Status WaitFor(int64_t up_to);
  // Drops what was requested and has not begun, and waits for a run that has. Afterwards nothing runs until the next
  // Request.
  void Quiesce();
  // Quiesce, then a run on this thread.
  absl::Status RunNow(int64_t up_to);

  int64_t requested() const;
  int64_t done() const;

 private:
  void Loop();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || (status_.ok() && requested_ > done_); }
  bool IsIdle() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !running_; }

  const Function function_;
  mutable absl::Mutex mutex_;
  int64_t requested_ ABSL_GUARDED_BY(mutex_);
  int64_t done_ ABSL_GUARDED_BY(mutex_);
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::artifacts
