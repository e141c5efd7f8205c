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
    worker::v1::Predict prediction;
    prediction.set_checkpoint_dir(directory);
    return queue_.Add(prediction, done, deadline);
  }
  absl::Status AddImage(size_t bytes) {
    WorkerPool::PredictCallback done = [](auto) {};
    worker::v1::Predict prediction;
    prediction.add_images(std::string(bytes, 'i'));
    return queue_.Add(prediction, done, absl::InfiniteFuture());
  }
  PredictionQueue queue_{3, 1000};
};

TEST_F(PredictionQueueTest, OneIsUnderWayAtATimeInOrder) {
  ASSERT_TRUE(Add("a").ok());
  ASSERT_TRUE(Add("b").ok());
  std::optional<worker::v1::Predict> first = queue_.SendNext();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->checkpoint_dir(), "a");
  EXPECT_FALSE(queue_.SendNext().has_value());
  EXPECT_FALSE(queue_.TakeInFlight(first->request() + 1).has_value());
  EXPECT_TRUE(queue_.TakeInFlight(first->request()).has_value());
  EXPECT_EQ(queue_.SendNext()->checkpoint_dir(), "b");
  EXPECT_FALSE(queue_.HasWaiting());
}

TEST_F(PredictionQueueTest, IsBounded) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add("a").ok());
  WorkerPool::PredictCallback done = [](auto) {};
  EXPECT_EQ(queue_.Add({}, done, kNow).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(done) << "the caller keeps the callback of a refused prediction";
}

TEST_F(PredictionQueueTest, IsBoundedInBytes) {
  ASSERT_TRUE(AddImage(5000).ok()) << "one of any size may wait";
  EXPECT_EQ(AddImage(1).code(), absl::StatusCode::kResourceExhausted);
  queue_.SendNext();
  ASSERT_TRUE(AddImage(400).ok()) << "what was sent waits no more";
  ASSERT_TRUE(AddImage(400).ok());
  EXPECT_EQ(AddImage(400).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(queue_.TakeAll().size(), 3u);
  ASSERT_TRUE(AddImage(900).ok());
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
