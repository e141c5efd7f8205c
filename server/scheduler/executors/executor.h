// Executor: runs what is posted to it, one task at a time and in order. Interface: serial_executor.h is a thread; the simulation of the scheduler
// (tests/server/scheduler/simulation) runs its own on a virtual clock. Thread-safe.
//
//   std::shared_ptr<Executor> loop = make_executor([] { /* whenever the queue has run empty */ });
//   loop->Post([] { ... });
//   loop->WakeAfter(absl::Seconds(10));  // from the idle task: run it again then, if nothing is posted before
//   loop->Stop();
#pragma once

#include <functional>
#include <memory>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attune::scheduler {

class Executor {
 public:
  using Task = std::function<void()>;
  virtual ~Executor() = default;
  // Dropped once it has stopped.
  virtual void Post(Task task) = 0;
  // The idle task runs again after `delay`, or earlier when something is posted. Each run of it forgets what was asked for before.
  virtual void WakeAfter(absl::Duration delay) = 0;
  // Runs what is queued and ends. Not from a task. May be called again.
  virtual void Stop() = 0;
  // With `mutex` held: waits until `done` or the timeout, while tasks go on. Whether it is done. Not from a task.
  virtual bool AwaitWithTimeout(absl::Mutex& mutex, const absl::Condition& done, absl::Duration timeout) = 0;
};

// `when_idle`, where there is one, runs whenever the queue has run empty.
using ExecutorFactory = std::function<std::shared_ptr<Executor>(Executor::Task when_idle)>;

}  // namespace attune::scheduler
