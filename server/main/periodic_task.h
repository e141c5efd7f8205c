// PeriodicTask: runs a function again and again on a thread of its own until it is destroyed, the first time at once. For upkeep that nobody waits for.
//
//   PeriodicTask upkeep(absl::Minutes(10), [&] { artifacts->RemoveExpiredUploads().IgnoreError(); });
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace attune {

class PeriodicTask {
 public:
  PeriodicTask(absl::Duration interval, std::function<void()> task)
      : thread_([this, interval, task = std::move(task)] {
          do task();
          while (!stop_.WaitForNotificationWithTimeout(interval));
        }) {}
  // Waits for a run that is going on.
  ~PeriodicTask() {
    stop_.Notify();
    thread_.join();
  }

 private:
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace attune
