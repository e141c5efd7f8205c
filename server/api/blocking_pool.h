// BlockingPool: the few threads that run calls which wait for a disk (hash, write, fsync, import, database reads), so that gRPC's callback threads
// never do. Owned by ApiServer. Thread-safe.
//
// New work is bounded: TryRun refuses when the queue is full, and the caller tells its client to come back. Run is for the next step of work that
// was admitted before (the next chunk of an upload, the next events of a watch): refusing that would waste what was done, and as one admitted
// call has one step waiting at most, the number of calls bounds it. Tasks run in the trace of whoever posted them.
// Errors: RESOURCE_EXHAUSTED with a retry delay (see grpc_status.h).
//
//   BlockingPool pool({.name = "io", .threads = 4, .max_queued = 1000});
//   ATTUNE_RETURN_IF_ERROR(pool.TryRun([=] { reactor->Finish(Import()); }));
#pragma once

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attune::api {

struct BlockingPoolOptions {
  std::string name = "io";  // shown as the threads' name
  int threads = 4;          // over 0
  int max_queued = 1024;    // waiting tasks beyond which TryRun refuses
};

class BlockingPool {
 public:
  using Task = absl::AnyInvocable<void()>;

  explicit BlockingPool(BlockingPoolOptions options);
  // Runs what is queued, then joins.
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  absl::Status TryRun(Task task);
  void Run(Task task);

  // Waits until nothing runs or waits; false when that took longer than `timeout`.
  bool WaitIdle(absl::Duration timeout);

 private:
  void Work();

  const BlockingPoolOptions options_;
  absl::Mutex mutex_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // constant after construction
};

}  // namespace attune::api
