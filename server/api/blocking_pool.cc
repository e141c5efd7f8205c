#include "server/api/blocking_pool.h"

#include <pthread.h>

#include <utility>

#include "server/api/grpc_status.h"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"

namespace attune::api {

BlockingPool::BlockingPool(BlockingPoolOptions options) : options_(std::move(options)) {
  threads_.reserve(static_cast<size_t>(options_.threads));
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Work(); });
    pthread_setname_np(threads_.back().native_handle(), StrCat("attune-", options_.name).substr(0, 15).c_str());
  }
}

BlockingPool::~BlockingPool() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::Status BlockingPool::TryRun(Task task) {
  {
    absl::MutexLock lock(&mutex_);
    if (queue_.size() < static_cast<size_t>(options_.max_queued)) {
      queue_.push_back(InCurrentTrace(std::move(task)));
      return absl::OkStatus();
    }
  }
  absl::Status busy = absl::ResourceExhaustedError(
      StrCat("the server is busy: ", options_.max_queued, " calls wait for its disk already; try again in a moment"));
  SetReason(busy, "SERVER_BUSY");
  SetRetryDelay(busy, absl::Milliseconds(500));
  return busy;
}

void BlockingPool::Run(Task task) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(InCurrentTrace(std::move(task)));
}

bool BlockingPool::WaitIdle(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return queue_.empty() && running_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&idle), timeout);
}

void BlockingPool::Work() {
  auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || stopping_; };
  for (;;) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&ready));
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
    }
    std::move(task)();
    task = nullptr;  // what it holds goes before WaitIdle may say that nothing runs
    absl::MutexLock lock(&mutex_);
    --running_;
  }
}

}  // namespace attune::api
