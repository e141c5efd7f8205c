#include "client/cpp/stall_guard.h"

#include "server/base/str_cat.h"

namespace attune::client {

StallGuard::StallGuard(grpc::ClientContext& context, absl::Duration limit) : context_(context), limit_(limit) {
  if (limit_ > absl::ZeroDuration()) thread_ = std::thread([this] { Loop(); });
}

StallGuard::~StallGuard() {
  {
    absl::MutexLock lock(&mutex_);
    done_ = true;
    wake_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

void StallGuard::Arm() {
  absl::MutexLock lock(&mutex_);
  armed_ = true;
  since_ = std::chrono::steady_clock::now();
}

void StallGuard::Disarm() {
  absl::MutexLock lock(&mutex_);
  armed_ = false;
}

absl::Status StallGuard::Explain(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!fired_ || status.ok()) return status;
  return absl::UnavailableError(StrCat("nothing came from the server for ", absl::FormatDuration(limit_)));
}

void StallGuard::Loop() {
  absl::MutexLock lock(&mutex_);
  while (!done_) {
    // Looking four times in the limit is precise enough and spares a wake-up for each message.
    wake_.WaitWithTimeout(&mutex_, limit_ / 4);
    const auto silent = absl::FromChrono(std::chrono::steady_clock::now() - since_);
    if (!done_ && armed_ && silent > limit_) {
      fired_ = true;
      context_.TryCancel();
      return;
    }
  }
}

}  // namespace attune::client
