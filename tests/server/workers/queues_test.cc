// LaunchBackoff and PredictionQueue: bookkeeping without threads.
#include <string>

#include "gtest/gtest.h"
#include "server/workers/launch_backoff.h"
#include "server/workers/prediction_queue.h"

namespace attune::workers {
namespace {

constexpr absl::Time kNow = absl::UnixEpoch();

TEST(LaunchBackoff, DoublesUpToAMinuteAndForgets) {
  LaunchBackoff backoff;
  EXPECT_LE(backoff.next(), kNow);
  for (int seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    backoff.Failed(kNow);
    EXPECT_EQ(backoff.next(), kNow + absl::Seconds(seconds));
  }
  for (int i = 0; i < 100; ++i) backoff.Failed(kNow);
  EXPECT_EQ(backoff.next(), kNow + absl::Minutes(1));
  backoff.Succeeded();
  EXPECT_LE(backoff.next(), kNow);
}

class PredictionQueueTest : public ::testing::Test {
 protected:
  absl::Status Add(const std::string& directory, absl::Time deadline = absl::InfiniteFuture()) {
    WorkerPool::PredictCallback done = [](auto) {};
    return queue_.Add(directory, {}, done, deadline);
  }
  PredictionQueue queue_{3};
};

TEST_F(PredictionQueueTest, OneIsUnderWayAtATimeInOrder) {
  ASSERT_TRUE(Add("a").ok());
  ASSERT_TRUE(Add("b").ok());
  const worker::v1::Predict* first = queue_.SendNext();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->checkpoint_dir(), "a");
  EXPECT_EQ(queue_.SendNext(), nullptr);
  EXPECT_FALSE(queue_.TakeInFlight(first->request() + 1).has_value());
  EXPECT_TRUE(queue_.TakeInFlight(first->request()).has_value());
  EXPECT_EQ(queue_.SendNext()->checkpoint_dir(), "b");
  EXPECT_FALSE(queue_.HasWaiting());
}

TEST_F(PredictionQueueTest, IsBounded) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add("a").ok());
  WorkerPool::PredictCallback done = [](auto) {};
  EXPECT_EQ(queue_.Add("a", {}, done, kNow).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(done) << "the caller keeps the callback of a refused prediction";
}

TEST_F(PredictionQueueTest, ExpiryTakesThoseWhoseTimeIsUp) {
  ASSERT_TRUE(Add("sent", kNow).ok());
  queue_.SendNext();
  ASSERT_TRUE(Add("early", kNow).ok());
  ASSERT_TRUE(Add("late", kNow + absl::Seconds(1)).ok());
  EXPECT_EQ(queue_.WaitingDeadline(), kNow);
  EXPECT_EQ(queue_.TakeExpired(kNow).size(), 1u);
  EXPECT_EQ(queue_.WaitingDeadline(), kNow + absl::Seconds(1));
  EXPECT_EQ(queue_.InFlightDeadline(), kNow);
  EXPECT_EQ(queue_.TakeAll().size(), 2u);
  EXPECT_EQ(queue_.WaitingDeadline(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace attune::workers
