// SerialExecutor: an Executor with a thread of its own. The scheduler's own thread is one, and so is its thread for blocking file work. Thread-safe.
// Tasks run in the trace of whoever posted them.
//
//   auto loop = std::make_shared<SerialExecutor>([] { /* whenever the queue has run empty */ });
//   loop->Post([] { ... });
//   loop->WakeAfter(absl::Seconds(10));  // from the idle task: run it again then, if nothing is posted before
//   loop->Stop();  // runs what is queued and ends; what is posted later is dropped
//
// Callbacks that may come after the owner is gone hold the executor (shared_ptr), and touch the owner only in what they post.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/trace_context.h"
#include "server/scheduler/executors/executor.h"

namespace attune::scheduler {

class SerialExecutor final : public Executor {
 public:
  explicit SerialExecutor(Task when_idle = nullptr) : when_idle_(std::move(when_idle)), thread_([this] { Run(); }) {}
  ~SerialExecutor() override { Stop(); }
  SerialExecutor(const SerialExecutor&) = delete;
  SerialExecutor& operator=(const SerialExecutor&) = delete;

  void Post(Task task) override {
    absl::MutexLock lock(&mutex_);
    if (!stopped_) queue_.push_back(InCurrentTrace(std::move(task)));
  }

  void WakeAfter(absl::Duration delay) override {
    absl::MutexLock lock(&mutex_);
    wake_at_ = std::min(wake_at_, absl::Now() + delay);
  }

  void Stop() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (thread_.joinable()) thread_.join();
  }

  bool AwaitWithTimeout(absl::Mutex& mutex, const absl::Condition& done, absl::Duration timeout) override { return mutex.AwaitWithTimeout(done, timeout); }

 private:
  void Run() {
    std::deque<Task> batch;
    while (true) {
      {
        absl::MutexLock lock(&mutex_);
        auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || stopping_; };
        mutex_.AwaitWithDeadline(absl::Condition(&has_work), wake_at_);
        if (queue_.empty() && stopping_) {
          stopped_ = true;
          return;
        }
        wake_at_ = absl::InfiniteFuture();
        batch.swap(queue_);
      }
      for (Task& task : batch) task();
      batch.clear();
      if (when_idle_) when_idle_();
    }
  }

  const Task when_idle_;
  absl::Mutex mutex_;
  std::deque<Task> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time wake_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  std::thread thread_;  // last: it uses the rest
};

}  // namespace attune::scheduler
