#include "client/cpp/retry.h"

#include <gtest/gtest.h>

#include <vector>

#include "client/cpp/error.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

TEST(RetryTest, BackoffDoublesUpToItsLimitAndJitters) {
  const RetryPolicy policy{.initial_backoff_seconds = 1, .max_backoff_seconds = 8};
  const absl::Status cut = absl::UnavailableError("");
  const struct {
    int attempt;
    double random, seconds;
  } cases[] = {{1, 0, 0.5}, {1, 1, 1}, {2, 0, 1}, {2, 1, 2}, {4, 1, 8}, {5, 1, 8}, {5, 0, 4}, {1000, 1, 8}};
  for (const auto& c : cases) {
    EXPECT_EQ(BackoffAfter(policy, c.attempt, cut, c.random), absl::Seconds(c.seconds)) << c.attempt << " " << c.random;
  }
}

TEST(RetryTest, TheServersWishIsTheLeastWait) {
  const RetryPolicy policy{.initial_backoff_seconds = 1, .max_backoff_seconds = 8};
  const absl::Status busy = ToStatus(
      FakeError{.code = grpc::StatusCode::RESOURCE_EXHAUSTED, .message = "", .retry_after_seconds = 30}.ToStatus());
  EXPECT_EQ(BackoffAfter(policy, 1, busy, 0), absl::Seconds(30));
  const absl::Status soon =
      ToStatus(FakeError{.code = grpc::StatusCode::UNAVAILABLE, .message = "", .retry_after_seconds = 1}.ToStatus());
  EXPECT_EQ(BackoffAfter(policy, 4, soon, 1), absl::Seconds(8));
}

TEST(RetryTest, CountsFailuresInARow) {
  std::vector<absl::Duration> sleeps;
  const RetryPolicy policy{
      .max_attempts = 3, .sleep = [&](absl::Duration d) { sleeps.push_back(d); }, .random = [] { return 0.0; }};
  const absl::Status cut = absl::UnavailableError("");
  Retrier retrier(policy);
  EXPECT_TRUE(retrier.WaitAfter(cut));
  EXPECT_TRUE(retrier.WaitAfter(cut));
  retrier.Progressed();
  EXPECT_TRUE(retrier.WaitAfter(cut));
  EXPECT_TRUE(retrier.WaitAfter(cut));
  EXPECT_FALSE(retrier.WaitAfter(cut));
  EXPECT_EQ(sleeps.size(), 4u);
  EXPECT_EQ(sleeps[0], sleeps[2]) << "progress starts the backoff again";
}

TEST(RetryTest, OtherErrorsAreNotTriedAgain) {
  const RetryPolicy policy{.sleep = [](absl::Duration) { FAIL(); }};
  Retrier retrier(policy);
  EXPECT_FALSE(retrier.WaitAfter(absl::InvalidArgumentError("")));
}

}  // namespace
}  // namespace attune::client
