// LaunchBackoff and RequestQueue: bookkeeping without threads.
#include <string>

#include "gtest/gtest.h"
#include "server/workers/launch_backoff.h"
#include "server/workers/request_queue.h"

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

class RequestQueueTest : public ::testing::Test {
 protected:
  static RequestQueue::Callbacks Nothing() {
    return {.done = [](auto) {}};
  }
  absl::StatusOr<int64_t> Add(const std::string& directory, absl::Time deadline = absl::InfiniteFuture()) {
    RequestQueue::Callbacks callbacks = Nothing();
    worker::v1::ConnectResponse command;
    command.mutable_predict()->set_checkpoint_dir(directory);
    return queue_.Add(command, callbacks, deadline);
  }
  absl::Status AddImage(size_t bytes) {
    RequestQueue::Callbacks callbacks = Nothing();
    worker::v1::ConnectResponse command;
    command.mutable_predict()->add_images(std::string(bytes, 'i'));
    return queue_.Add(command, callbacks, absl::InfiniteFuture()).status();
  }
  const std::shared_ptr<RequestQueue::Budget> budget_ = std::make_shared<RequestQueue::Budget>(3, 1000);
  RequestQueue queue_{"predictions", budget_};
};

TEST_F(RequestQueueTest, OneIsUnderWayAtATimeInOrder) {
  ASSERT_TRUE(Add("a").ok());
  ASSERT_TRUE(Add("b").ok());
  std::optional<worker::v1::ConnectResponse> first = queue_.SendNext();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->predict().checkpoint_dir(), "a");
  EXPECT_EQ(queue_.InFlight()->id, first->predict().request());
  EXPECT_FALSE(queue_.SendNext().has_value());
  EXPECT_FALSE(queue_.TakeInFlight(first->predict().request() + 1).has_value());
  EXPECT_TRUE(queue_.TakeInFlight(first->predict().request()).has_value());
  EXPECT_EQ(queue_.SendNext()->predict().checkpoint_dir(), "b");
  EXPECT_FALSE(queue_.HasWaiting());
}

TEST_F(RequestQueueTest, NumbersEvaluationsToo) {
  RequestQueue::Callbacks callbacks = Nothing();
  worker::v1::ConnectResponse command;
  command.mutable_evaluate()->set_split("test");
  const absl::StatusOr<int64_t> id = queue_.Add(command, callbacks, kNow);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(queue_.SendNext()->evaluate().request(), *id);
}

TEST_F(RequestQueueTest, IsBounded) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Add("a").ok());
  RequestQueue::Callbacks callbacks = Nothing();
  worker::v1::ConnectResponse command;
  command.mutable_predict();
  const absl::Status status = queue_.Add(command, callbacks, kNow).status();
  EXPECT_EQ(status, absl::ResourceExhaustedError("3 predictions wait already; try again later"));
  EXPECT_TRUE(callbacks.done) << "the caller keeps the callback of a refused prediction";
}

TEST_F(RequestQueueTest, SeveralShareABound) {
  RequestQueue other("predictions", budget_);
  ASSERT_TRUE(Add("a").ok());
  RequestQueue::Callbacks callbacks = Nothing();
  worker::v1::ConnectResponse command;
  command.mutable_predict()->add_images(std::string(900, 'i'));
  ASSERT_TRUE(other.Add(command, callbacks, kNow).ok());
  EXPECT_EQ(AddImage(200).code(), absl::StatusCode::kResourceExhausted) << "the other's bytes count";
  ASSERT_TRUE(Add("a").ok());
  EXPECT_EQ(Add("a").status().code(), absl::StatusCode::kResourceExhausted) << "and its requests";
  EXPECT_EQ(other.TakeAll().size(), 1u);
  EXPECT_TRUE(Add("a").ok());
}

TEST_F(RequestQueueTest, IsBoundedInBytes) {
  ASSERT_TRUE(AddImage(5000).ok()) << "one of any size may wait";
  EXPECT_EQ(AddImage(1).code(), absl::StatusCode::kResourceExhausted);
  queue_.SendNext();
  ASSERT_TRUE(AddImage(400).ok()) << "what was sent waits no more";
  ASSERT_TRUE(AddImage(400).ok());
  EXPECT_EQ(AddImage(400).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(queue_.TakeAll().size(), 3u);
  ASSERT_TRUE(AddImage(900).ok());
}

TEST_F(RequestQueueTest, ExpiryTakesThoseWhoseTimeIsUp) {
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

TEST_F(RequestQueueTest, OneThatWaitsCanBeTakenBack) {
  const int64_t a = *Add("a"), b = *Add("b"), c = *Add("c");
  queue_.SendNext();
  EXPECT_FALSE(queue_.TakeWaiting(a).has_value()) << "it is under way";
  EXPECT_EQ(queue_.TakeWaiting(b)->id, b);
  EXPECT_FALSE(queue_.TakeWaiting(b).has_value());
  queue_.TakeInFlight();
  EXPECT_EQ(queue_.SendNext()->predict().request(), c);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(AddImage(300).ok()) << "its bytes are free again";
}

}  // namespace
}  // namespace attune::workers
