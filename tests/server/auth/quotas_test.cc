#include "server/auth/quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "server/auth/auth_errors.h"
#include "server/base/str_cat.h"
#include "tests/fakes/manual_clock.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

std::string RetryMs(const absl::Status& status) {
  auto payload = status.GetPayload("attune.dev/retry_delay_ms");
  return payload.has_value() ? std::string(*payload) : "";
}

TEST(Quotas, WithoutLimitsNothingIsRefused) {
  ManualClock clock;
  ProjectQuotas quotas({}, clock);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(quotas.TakeRequest("a").ok());
  std::vector<QuotaLease> leases;
  for (int i = 0; i < 100; ++i) leases.push_back(quotas.Begin("a", QuotaKind::kWatcher).value());
  EXPECT_TRUE(quotas.CheckStorage("a", int64_t{1} << 60, int64_t{1} << 60).ok());
  EXPECT_TRUE(quotas.CheckQueue("a", 1 << 30).ok());
}

TEST(Quotas, ABucketEmptiesAndFills) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.requests_per_second = 4, .request_burst = 8}}, clock);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(quotas.TakeRequest("a").ok()) << i;
  const absl::Status status = quotas.TakeRequest("a");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryMs(status), "250");
  EXPECT_TRUE(quotas.TakeRequest("b").ok()) << "others have their own";
  clock.Advance(absl::Milliseconds(125));
  EXPECT_EQ(RetryMs(quotas.TakeRequest("a")), "125");
  clock.Advance(absl::Milliseconds(125));
  EXPECT_TRUE(quotas.TakeRequest("a").ok());
  EXPECT_FALSE(quotas.TakeRequest("a").ok());
  clock.Advance(absl::Hours(1));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(quotas.TakeRequest("a").ok()) << "no more than the burst";
  EXPECT_FALSE(quotas.TakeRequest("a").ok());
  clock.Advance(-absl::Hours(2));
  EXPECT_FALSE(quotas.TakeRequest("a").ok());
  clock.Advance(absl::Hours(2) + absl::Seconds(1));
  EXPECT_TRUE(quotas.TakeRequest("a").ok());
}

TEST(Quotas, BelowOneASecondThereIsStillOne) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.requests_per_second = 0.1}}, clock);
  EXPECT_TRUE(quotas.TakeRequest("a").ok());
  EXPECT_EQ(RetryMs(quotas.TakeRequest("a")), "10000");
}

TEST(Quotas, TheErrorIsForPrograms) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.stored_bytes = 100}}, clock);
  const absl::Status status = quotas.CheckStorage("team-a", 90, 11);
  EXPECT_EQ(ReasonOf(status), "QUOTA_EXCEEDED");
  google::rpc::QuotaFailure failure;
  ASSERT_TRUE(failure.ParseFromString(std::string(status.GetPayload("google.rpc.QuotaFailure").value())));
  ASSERT_EQ(failure.violations_size(), 1);
  EXPECT_EQ(failure.violations(0).subject(), "projects/team-a");
  EXPECT_EQ(failure.violations(0).description(), std::string(status.message()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has 90 of its 100 bytes stored, and 11 more do not fit; delete"));
  EXPECT_EQ(RetryMs(status), "") << "waiting does not help";
}

TEST(Quotas, Storage) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.stored_bytes = 100}}, clock);
  EXPECT_TRUE(quotas.CheckStorage("a", 0, 100).ok());
  EXPECT_FALSE(quotas.CheckStorage("a", 1, 100).ok());
  EXPECT_TRUE(quotas.CheckStorage("a", 100, 0).ok());
  EXPECT_FALSE(quotas.CheckStorage("a", 0, std::numeric_limits<int64_t>::max()).ok());
  EXPECT_FALSE(quotas.CheckStorage("a", std::numeric_limits<int64_t>::max(), 1).ok());
}

TEST(Quotas, LeasesCount) {
  ManualClock clock;
  std::optional<ProjectQuotas> quotas(std::in_place, QuotaOptions{.limits = {.uploads = 2, .watchers = 1}}, clock);
  std::optional<QuotaLease> first = quotas->Begin("a", QuotaKind::kUpload).value();
  QuotaLease second = quotas->Begin("a", QuotaKind::kUpload).value();
  const absl::Status status = quotas->Begin("a", QuotaKind::kUpload).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(RetryMs(status), "5000");
  EXPECT_TRUE(quotas->Begin("b", QuotaKind::kUpload).ok());
  EXPECT_TRUE(quotas->Begin("a", QuotaKind::kWatcher).ok()) << "given back at once, as nobody keeps it";
  QuotaLease watcher = quotas->Begin("a", QuotaKind::kWatcher).value();
  EXPECT_FALSE(quotas->Begin("a", QuotaKind::kWatcher).ok());
  first.reset();
  QuotaLease moved = std::move(second);
  EXPECT_TRUE(quotas->Begin("a", QuotaKind::kUpload).ok());
  quotas.reset();  // leases may end after it
}

TEST(Quotas, Jobs) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.queued_jobs = 2}, .projects = {{"big", {.queued_jobs = 100}}}}, clock);
  EXPECT_TRUE(quotas.CheckQueue("a", 1).ok());
  EXPECT_FALSE(quotas.CheckQueue("a", 2).ok());
  EXPECT_TRUE(quotas.CheckQueue("big", 99).ok());
}

TEST(Quotas, InventedProjectsDoNotPileUp) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.requests_per_second = 10}}, clock);
  for (int i = 0; i < 20'000; ++i) {
    clock.Advance(absl::Milliseconds(1));
    EXPECT_TRUE(quotas.TakeRequest(StrCat("p", i)).ok());
  }
}

TEST(Quotas, ManyThreads) {
  ManualClock clock;
  ProjectQuotas quotas({.limits = {.requests_per_second = 1, .request_burst = 100, .uploads = 3}}, clock);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        taken += quotas.TakeRequest("a").ok() ? 1 : 0;
        quotas.Begin("a", QuotaKind::kUpload).status().IgnoreError();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 100);
  EXPECT_TRUE(quotas.Begin("a", QuotaKind::kUpload).ok());
}

}  // namespace
}  // namespace attune::auth
