#include "client/cpp/retry.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/time/clock.h"
#include "client/cpp/error.h"

namespace attune::client {
namespace {

double Random() {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

}  // namespace

absl::Duration BackoffAfter(const RetryPolicy& policy, int attempt, const absl::Status& status, double random) {
  const double exponential = policy.initial_backoff_seconds * std::pow(2.0, std::min(attempt - 1, 30));
  const double seconds = std::min(exponential, policy.max_backoff_seconds) * (0.5 + random / 2);
  const absl::Duration asked = DescribeError(status).retry_delay.value_or(absl::ZeroDuration());
  return std::max(absl::Seconds(seconds), asked);
}

bool Retrier::WaitAfter(const absl::Status& status) { return IsTransient(status) && WaitAfterAny(status); }

bool Retrier::WaitAfterAny(const absl::Status& status) {
  if (++failures_ >= policy_.max_attempts) return false;
  const double random = policy_.random ? policy_.random() : Random();
  const absl::Duration wait = BackoffAfter(policy_, failures_, status, random);
  if (policy_.sleep) {
    policy_.sleep(wait);
  } else {
    absl::SleepFor(wait);
  }
  return true;
}

}  // namespace attune::client
