// When and how long to wait before a call is made again: exponential backoff with jitter that respects the server's
// RetryInfo. The sleep and the randomness are injected, so that tests count waits instead of making them. RetryPolicy
// is a value; Retrier belongs to one operation.
//
//   Retrier retrier(policy);
//   while (true) {
//     status = TryOnce();
//     if (status.ok() || !retrier.WaitAfter(status)) return status;
//   }
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attune::client {

struct RetryPolicy {
  int max_attempts = 5;                  // tries in a row without progress, the first included; at least 1
  double initial_backoff_seconds = 0.2;  // before the second try; doubles with each further one
  double max_backoff_seconds = 10;
  std::function<void(absl::Duration)> sleep;  // empty: absl::SleepFor
  std::function<double()> random;             // uniform in [0, 1); empty: a generator of its own
};

// Wait before try `attempt` + 1 (attempt counts from 1): between half of the exponential value and all of it, and never
// less than what the server asks for. `random` is in [0, 1).
absl::Duration BackoffAfter(const RetryPolicy& policy, int attempt, const absl::Status& status, double random);

class Retrier {
 public:
  explicit Retrier(const RetryPolicy& policy) : policy_(policy) {}
  // Sleeps and returns true when `status` is transient (see IsTransient) and tries are left.
  bool WaitAfter(const absl::Status& status);
  // The same for a status that the caller knows to be worth another try.
  bool WaitAfterAny(const absl::Status& status);
  // Something was achieved: the next failure counts as the first.
  void Progressed() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  const RetryPolicy& policy_;
  int failures_ = 0;
};

}  // namespace attune::client
