// When a failed attempt is tried again, and whether.
#include "gtest/gtest.h"
#include "server/jobs/backoff.h"

namespace attune::jobs {
namespace {

using Info = v1::FailureInfo;

TEST(Backoff, DoublesUpToAnHour) {
  v1::RetryPolicy policy;
  policy.set_backoff_seconds(10);
  EXPECT_EQ(BackoffBefore(1, policy), absl::Seconds(10));
  EXPECT_EQ(BackoffBefore(2, policy), absl::Seconds(20));
  EXPECT_EQ(BackoffBefore(3, policy), absl::Seconds(40));
  EXPECT_EQ(BackoffBefore(10, policy), absl::Hours(1));
  EXPECT_EQ(BackoffBefore(100, policy), absl::Hours(1));
  policy.set_backoff_seconds(1);
  EXPECT_EQ(BackoffBefore(100, policy), absl::Hours(1));
  policy.set_backoff_seconds(0);
  EXPECT_EQ(BackoffBefore(5, policy), absl::ZeroDuration());
}

TEST(Backoff, OnlyWhatAnotherAttemptMightNotHaveIsRetried) {
  v1::RetryPolicy policy;
  policy.set_max_resource_retries(2);
  policy.set_max_system_retries(5);
  EXPECT_EQ(RetriesAllowed(Info::CATEGORY_RESOURCE, policy), 2);
  EXPECT_EQ(RetriesAllowed(Info::CATEGORY_SYSTEM, policy), 5);
  EXPECT_EQ(RetriesAllowed(Info::CATEGORY_USER, policy), 0);
  EXPECT_EQ(RetriesAllowed(Info::CATEGORY_DATA, policy), 0);
  EXPECT_EQ(RetryKey(Info::CATEGORY_RESOURCE), "RESOURCE");
}

}  // namespace
}  // namespace attune::jobs
