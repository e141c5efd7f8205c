#include "server/api/blocking_pool.h"

#include <atomic>
#include <memory>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

TEST(BlockingPoolTest, RefusesNewWorkWhenFullButTakesTheNextStepOfOldWork) {
  BlockingPool pool({.threads = 1, .max_queued = 1});
  absl::Notification started, go;
  std::atomic<int> ran = 0;
  ASSERT_TRUE(pool.TryRun([&] {
    started.Notify();
    go.WaitForNotification();
    ++ran;
  }).ok());
  started.WaitForNotification();  // it runs, so the queue is empty
  ASSERT_TRUE(pool.TryRun([&] { ++ran; }).ok());
  absl::Status full = pool.TryRun([&] { ran += 100; });
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(DetailsOf(ToGrpcStatus(full)).retry.has_retry_delay());
  EXPECT_EQ(DetailsOf(ToGrpcStatus(full)).info.reason(), "SERVER_BUSY");
  pool.Run([&] { ++ran; });
  EXPECT_FALSE(pool.WaitIdle(absl::ZeroDuration()));
  go.Notify();
  EXPECT_TRUE(pool.WaitIdle(absl::Seconds(60)));
  EXPECT_EQ(ran, 3);
}

TEST(BlockingPoolTest, TheDestructorRunsWhatIsQueued) {
  std::atomic<int> ran = 0;
  {
    BlockingPool pool({.threads = 2});
    for (int i = 0; i < 100; ++i) pool.Run([&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(BlockingPoolTest, IdleMeansThatTasksHaveLetGoOfWhatTheyHeld) {
  BlockingPool pool({.threads = 3});
  auto held = std::make_shared<int>(0);
  for (int i = 0; i < 50; ++i) pool.Run([held] {});
  ASSERT_TRUE(pool.WaitIdle(absl::Seconds(60)));
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace attune::api
