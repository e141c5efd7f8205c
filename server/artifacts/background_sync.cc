#include "server/artifacts/background_sync.h"

#include <algorithm>
#include <utility>

namespace attune::artifacts {

BackgroundSync::BackgroundSync(int64_t done, Function function)
    : function_(std::move(function)), requested_(done), done_(done) {}

BackgroundSync::~BackgroundSync() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void BackgroundSync::Loop() {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    mutex_.Await(absl::Condition(this, &BackgroundSync::HasWork));
    if (stopping_) return;
    const int64_t up_to = requested_;
    running_ = true;
    mutex_.Unlock();
    absl::Status status = function_(up_to);
    mutex_.Lock();
    running_ = false;
    if (status.ok()) {
      done_ = up_to;
    } else {
      status_ = std::move(status);
    }
  }
}

void BackgroundSync::Request(int64_t up_to) {
  absl::MutexLock lock(&mutex_);
  requested_ = std::max(requested_, up_to);
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
}

absl::Status BackgroundSync::WaitFor(int64_t up_to) {
  absl::MutexLock lock(&mutex_);
  auto reached = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_ >= up_to || !status_.ok(); };
  mutex_.Await(absl::Condition(&reached));
  return status_;
}

void BackgroundSync::Quiesce() {
  absl::MutexLock lock(&mutex_);
  requested_ = done_;
  mutex_.Await(absl::Condition(this, &BackgroundSync::IsIdle));
  requested_ = done_;  // the run may have got further
}

absl::Status BackgroundSync::RunNow(int64_t up_to) {
  Quiesce();
  {
    absl::MutexLock lock(&mutex_);
    if (!status_.ok()) return status_;
  }
  absl::Status status = function_(up_to);
  absl::MutexLock lock(&mutex_);
  if (status.ok()) {
    requested_ = done_ = up_to;
  } else {
    status_ = status;
  }
  return status;
}

int64_t BackgroundSync::requested() const {
  absl::MutexLock lock(&mutex_);
  return requested_;
}

int64_t BackgroundSync::done() const {
  absl::MutexLock lock(&mutex_);
  return done_;
}

}  // namespace attune::artifacts
