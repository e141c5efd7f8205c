// VirtualExecutor: an Executor of the simulated server. What is posted runs later, in order, in batches whose length and time the seed decides.
#pragma once

#include <deque>
#include <utility>

#include "server/scheduler/executors/executor.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

class VirtualExecutor final : public scheduler::Executor, public std::enable_shared_from_this<VirtualExecutor> {
 public:
  VirtualExecutor(World& world, Task when_idle) : world_(world), server_(world.server()), when_idle_(std::move(when_idle)) {}

  void Post(Task task) override {
    if (stopped_ || Dead()) return;
    queue_.push_back(std::move(task));
    if (!std::exchange(scheduled_, true)) Schedule(world_.Latency());
  }

  void WakeAfter(absl::Duration delay) override {
    if (stopped_ || Dead()) return;
    if (world_.Now() + delay >= wake_at_) return;
    wake_at_ = world_.Now() + delay;
    world_.AfterInServer(delay, [self = shared_from_this()] {
      if (self->wake_at_ <= self->world_.Now() && !self->stopped_) self->Run(0);
    });
  }

  void Stop() override {
    while (!Dead() && !queue_.empty()) Run(queue_.size());
    stopped_ = true;
    queue_.clear();
  }

  bool AwaitWithTimeout(absl::Mutex& mutex, const absl::Condition& done, absl::Duration timeout) override {
    const absl::Time deadline = world_.Now() + timeout;
    while (!done.Eval() && !Dead()) {
      if (world_.Next() > deadline) {
        world_.AdvanceTo(deadline);
        break;
      }
      mutex.Unlock();
      world_.Step();
      mutex.Lock();
    }
    return done.Eval();
  }

 private:
  bool Dead() const { return world_.server() != server_; }
  void Schedule(absl::Duration delay) {
    world_.AfterInServer(delay, [self = shared_from_this()] {
      self->scheduled_ = false;
      if (self->stopped_ || self->queue_.empty()) return;
      self->Run(static_cast<size_t>(self->world_.random.Between(1, static_cast<int64_t>(self->queue_.size()))));
    });
  }
  void Run(size_t count) {
    wake_at_ = absl::InfiniteFuture();
    for (; count > 0 && !queue_.empty() && !Dead(); --count) {
      Task task = std::move(queue_.front());
      queue_.pop_front();
      task();
    }
    if (when_idle_ && !Dead()) when_idle_();
    if (!queue_.empty() && !std::exchange(scheduled_, true)) Schedule(world_.Latency());
  }

  World& world_;
  const int server_;
  const Task when_idle_;
  std::deque<Task> queue_;
  bool scheduled_ = false, stopped_ = false;
  absl::Time wake_at_ = absl::InfiniteFuture();
};

}  // namespace attune::simulation
