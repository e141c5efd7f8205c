#include "server/api/streams/event_stream.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "attune/v1/fine_tuning_job.grpc.pb.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "server/api/fine_tuning_job_service.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

class EventStreamTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    PutJob("fineTuningJobs/j1");
    event_log_.AppendState("j1", "QUEUED", false);
  }

  // One watch; reading blocks.
  struct Watch {
    Watch(const std::shared_ptr<grpc::Channel>& channel, int64_t after, const std::string& name = "fineTuningJobs/j1")
        : stub(v1::FineTuningJobService::NewStub(channel)) {
      v1::WatchFineTuningJobRequest request;
      request.set_name(name);
      request.set_after_sequence(after);
      reader = stub->WatchFineTuningJob(&context, request);
    }
    v1::WatchFineTuningJobResponse Next() {
      v1::WatchFineTuningJobResponse message;
      EXPECT_TRUE(reader->Read(&message));
      return message;
    }
    // Events' sequences up to the end of the stream.
    std::vector<int64_t> ReadToEnd() {
      std::vector<int64_t> sequences;
      v1::WatchFineTuningJobResponse message;
      while (reader->Read(&message)) {
        if (message.has_event()) sequences.push_back(message.event().sequence());
        if (message.has_lagged()) lagged += message.lagged().dropped();
      }
      status = reader->Finish();
      return sequences;
    }
    grpc::ClientContext context;
    std::unique_ptr<v1::FineTuningJobService::Stub> stub;
    std::unique_ptr<grpc::ClientReader<v1::WatchFineTuningJobResponse>> reader;
    grpc::Status status;
    int64_t lagged = 0;
  };

  static std::vector<int64_t> Range(int64_t first, int64_t last) {
    std::vector<int64_t> range;
    for (int64_t i = first; i <= last; ++i) range.push_back(i);
    return range;
  }
};

TEST_F(EventStreamTest, ReplaysThenFollowsAndEndsAfterTheTerminalEvent) {
  for (int i = 1; i <= 200; ++i) event_log_.AppendMetrics("j1", i);
  Watch watch(channel_, 0);
  for (int64_t expected = 1; expected <= 201; ++expected) {
    v1::WatchFineTuningJobResponse message = watch.Next();
    ASSERT_EQ(message.event().sequence(), expected);
  }
  event_log_.AppendMetrics("j1", 201);
  EXPECT_EQ(watch.Next().event().metrics().step(), 201);
  event_log_.AppendState("j1", "SUCCEEDED", true);
  v1::WatchFineTuningJobResponse last = watch.Next();
  EXPECT_EQ(last.event().state_changed().to(), "SUCCEEDED");
  EXPECT_TRUE(watch.ReadToEnd().empty());
  EXPECT_TRUE(watch.status.ok()) << watch.status.error_message();
  event_log_.WaitForSubscriptions(0);
}

TEST_F(EventStreamTest, AWatcherThatIsCutAndComesBackHasExactlyTheSequence) {
  std::vector<int64_t> joined;
  for (int round = 0; round < 20; ++round) {
    Watch watch(channel_, joined.empty() ? 0 : joined.back());
    for (int i = 0; i < 10; ++i) {
      event_log_.AppendMetrics("j1", 1 + round * 10 + i);
      joined.push_back(watch.Next().event().sequence());
    }
    watch.context.TryCancel();
    watch.ReadToEnd();
    EXPECT_EQ(watch.status.error_code(), grpc::StatusCode::CANCELLED);
  }
  event_log_.AppendState("j1", "FAILED", true);
  Watch rest(channel_, joined.back());
  for (int64_t sequence : rest.ReadToEnd()) joined.push_back(sequence);
  EXPECT_TRUE(rest.status.ok());
  EXPECT_EQ(joined, Range(1, 202));
}

TEST_F(EventStreamTest, TwoHundredWatchersAllSeeEveryEventUpToTheTerminalOne) {
  constexpr int kWatchers = 200;
  constexpr int kEvents = 100;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 10; ++i) channels.push_back(NewChannel());
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < kWatchers; ++i) watches.push_back(std::make_unique<Watch>(channels[i % channels.size()], 0));
  event_log_.WaitForSubscriptions(kWatchers);
  for (int i = 1; i <= kEvents; ++i) event_log_.AppendMetrics("j1", i);
  event_log_.AppendState("j1", "SUCCEEDED", true);
  for (auto& watch : watches) {
    EXPECT_EQ(watch->ReadToEnd(), Range(1, kEvents + 2));
    EXPECT_TRUE(watch->status.ok()) << watch->status.error_message();
  }
  event_log_.WaitForSubscriptions(0);
}

TEST_F(EventStreamTest, NothingIsTakenForAWatcherThatDoesNotRead) {
  constexpr int kEvents = 20'000;  // some 600 KB, and 64 KiB are on the way before anybody reads
  for (int i = 1; i <= kEvents; ++i) event_log_.AppendMetrics("j1", i);
  event_log_.AppendState("j1", "SUCCEEDED", true);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // which would let more be on the way
  Watch silent(grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(), arguments), 0);
  event_log_.WaitForSubscriptions(1);
  {
    Watch other(channel_, 0);
    EXPECT_EQ(other.ReadToEnd().size(), size_t{kEvents} + 2);
  }
  event_log_.WaitForSubscriptions(1);
  EXPECT_LT(event_log_.Taken(), size_t{kEvents} / 2);
  EXPECT_EQ(silent.ReadToEnd().size(), size_t{kEvents} + 2) << "and all is there when it reads";
}

TEST_F(EventStreamTest, WatchersThatLeaveLetGoOfTheirSubscriptionAndOfTheBytes) {
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 20; ++i) {
    watches.push_back(std::make_unique<Watch>(channel_, 0));
    watches.back()->Next();
  }
  event_log_.WaitForSubscriptions(20);
  for (auto& watch : watches) watch->context.TryCancel();
  for (auto& watch : watches) watch->ReadToEnd();
  event_log_.WaitForSubscriptions(0);
  server_.reset();  // whatever gRPC still held of buffers goes with it; the last alarms end on a thread of its own
  std::shared_ptr<const std::string> bytes = event_log_.Bytes("j1", 0);
  absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (bytes.use_count() > 2 && absl::Now() < deadline) std::this_thread::yield();
  EXPECT_EQ(bytes.use_count(), 2);  // the log's, and ours
}

TEST_F(EventStreamTest, SilenceIsFilledWithHeartbeats) {
  StartServer({.heartbeat_interval = absl::Milliseconds(20)});
  Watch watch(channel_, 1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(watch.Next().has_heartbeat());
  event_log_.AppendState("j1", "SUCCEEDED", true);
  EXPECT_EQ(watch.ReadToEnd(), Range(2, 2));
}

TEST_F(EventStreamTest, AWaitingJobSaysWhatItWaitsForAtOnceAndWhenThatChanges) {
  v1::FineTuningJob job = PutJob("fineTuningJobs/j1", v1::FineTuningJob::STATE_QUEUED);
  job.set_jobs_ahead(3);
  scheduler_.PutWaiting(job);
  Watch first(channel_, 0), second(NewChannel(), 1);
  EXPECT_EQ(first.Next().event().sequence(), 1) << "what has happened comes first";
  for (Watch* watch : {&first, &second}) EXPECT_EQ(watch->Next().waiting().jobs_ahead(), 3);
  job.set_jobs_ahead(2);
  job.set_state_reason("waits for 2 jobs before it");
  scheduler_.PutWaiting(job);
  for (Watch* watch : {&first, &second}) {
    const v1::WatchFineTuningJobResponse news = watch->Next();
    EXPECT_EQ(news.waiting().jobs_ahead(), 2);
    EXPECT_EQ(news.waiting().state_reason(), "waits for 2 jobs before it");
  }
  // Once it has started nothing more is said of waiting, and nothing was said where nothing has changed.
  PutJob("fineTuningJobs/j1");
  event_log_.AppendState("j1", "PREPARING", false);
  event_log_.AppendState("j1", "FAILED", true);
  for (Watch* watch : {&first, &second}) {
    EXPECT_EQ(watch->Next().event().sequence(), 2);
    EXPECT_EQ(watch->Next().event().sequence(), 3);
    EXPECT_TRUE(watch->ReadToEnd().empty());
  }
}

TEST_F(EventStreamTest, AJobThatWaitsAgainSaysSo) {
  Watch watch(channel_, 1);
  v1::FineTuningJob job = PutJob("fineTuningJobs/j1", v1::FineTuningJob::STATE_QUEUED);
  event_log_.AppendState("j1", "QUEUED", false);
  job.set_blocking_resource("worker");
  scheduler_.PutWaiting(job);
  EXPECT_EQ(watch.Next().event().sequence(), 2);
  EXPECT_EQ(watch.Next().waiting().blocking_resource(), "worker");
  event_log_.AppendState("j1", "CANCELLED", true);
  EXPECT_EQ(watch.ReadToEnd(), Range(3, 3));
}

TEST_F(EventStreamTest, DroppedEventsAreReportedBeforeTheNextOne) {
  // A log whose ring holds ten events, and a watcher who comes when a hundred have passed.
  FakeEventLog small(10);
  BlockingPool pool({.threads = 2});
  EventStreams streams(small, scheduler_, pool, {});
  small.AppendState("j1", "QUEUED", false);
  for (int i = 1; i <= 100; ++i) small.AppendMetrics("j1", i);
  small.AppendState("j1", "SUCCEEDED", true);
  Access access({.artifacts = artifacts_, .datasets = datasets_, .catalogue = catalogue_, .scheduler = scheduler_});
  FineTuningJobService service(access, scheduler_, small, streams, pool);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  {
    Watch watch(server->InProcessChannel({}), 0);
    std::vector<int64_t> sequences = watch.ReadToEnd();
    EXPECT_EQ(sequences.front(), 1);  // a state change is never dropped
    EXPECT_EQ(sequences.back(), 102);
    EXPECT_EQ(watch.lagged + static_cast<int64_t>(sequences.size()), 102);
    EXPECT_GT(watch.lagged, 80);
  }
  server->Shutdown();
  server->Wait();
}

TEST_F(EventStreamTest, ACallerWhoHasTheTerminalEventIsToldSoAtOnce) {
  event_log_.AppendState("j1", "SUCCEEDED", true);
  Watch watch(channel_, 2);
  EXPECT_TRUE(watch.ReadToEnd().empty());
  EXPECT_TRUE(watch.status.ok()) << watch.status.error_message();
}

TEST_F(EventStreamTest, Refusals) {
  struct Case {
    std::string name;
    int64_t after;
    grpc::StatusCode code;
  };
  const Case cases[] = {
      {"fineTuningJobs/none", 0, grpc::StatusCode::NOT_FOUND},
      {"fineTuningJobs/j1", 2, grpc::StatusCode::OUT_OF_RANGE},  // the job has one event
      {"fineTuningJobs/j1", -1, grpc::StatusCode::INVALID_ARGUMENT},
      {"j1", 0, grpc::StatusCode::INVALID_ARGUMENT},
      {"", 0, grpc::StatusCode::INVALID_ARGUMENT},
  };
  for (const Case& c : cases) {
    Watch watch(channel_, c.after, c.name);
    watch.ReadToEnd();
    EXPECT_EQ(watch.status.error_code(), c.code) << c.name << " " << c.after << ": " << watch.status.error_message();
  }
}

TEST_F(EventStreamTest, DeletingTheJobEndsItsWatches) {
  Watch watch(channel_, 0);
  watch.Next();
  event_log_.Remove("j1");
  watch.ReadToEnd();
  EXPECT_EQ(watch.status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(EventStreamTest, AShutdownTellsWatchersToComeBack) {
  Watch watch(channel_, 0);
  watch.Next();
  std::thread shutdown([&] { EXPECT_TRUE(server_->Shutdown(absl::Seconds(60))); });
  watch.ReadToEnd();
  EXPECT_EQ(watch.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(watch.status.error_message().find("after_sequence"), std::string::npos) << watch.status.error_message();
  EXPECT_TRUE(DetailsOf(watch.status).retry.has_retry_delay());
  shutdown.join();
}

// Events, cancellations and a shutdown in any order: for the sanitizers.
TEST_F(EventStreamTest, NothingIsLostWhenWatchersComeAndGoWhileEventsFlow) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 1; !stop; ++i) event_log_.AppendMetrics("j1", i);
  });
  std::vector<std::thread> watchers;
  for (int t = 0; t < 4; ++t) {
    watchers.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        Watch watch(channel_, 0);
        for (int n = 1; n <= i; ++n) EXPECT_EQ(watch.Next().event().sequence(), n);
        watch.context.TryCancel();
        watch.ReadToEnd();
      }
    });
  }
  for (std::thread& watcher : watchers) watcher.join();
  stop = true;
  writer.join();
  event_log_.WaitForSubscriptions(0);
}

}  // namespace
}  // namespace attune::api
