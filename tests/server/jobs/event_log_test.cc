#include "server/jobs/job_event_log.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/database/database.h"
#include "server/jobs/group_commit_event_log.h"
#include "server/jobs/sqlite_job_store.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_job_store.h"

namespace attune::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::JobEvent Metric(int64_t step) {
  v1::JobEvent event;
  event.mutable_metrics()->set_step(step);
  return event;
}
v1::JobEvent Change(const std::string& to, bool terminal = false) {
  v1::JobEvent event;
  event.mutable_state_changed()->set_to(to);
  event.mutable_state_changed()->set_terminal(terminal);
  return event;
}

v1::JobEvent Parse(const SharedEvent& event) {
  v1::WatchFineTuningJobResponse response;
  EXPECT_TRUE(response.ParseFromString(*event.bytes));
  EXPECT_EQ(response.event().sequence(), event.sequence);
  return response.event();
}

// Follows a job as api/ does: takes until nothing is left, then waits for the callback.
class Reader {
 public:
  explicit Reader(JobEventLog& log, const std::string& job_id, int64_t after = 0) {
    subscription_ = log.Subscribe(job_id, after, [this] {
                         absl::MutexLock lock(&mutex_);
                         awake_ = true;
                       }).value();
  }
  // Everything that is there now.
  void Drain(int max_items = 16) {
    while (true) {
      auto items = subscription_->Take(max_items);
      ASSERT_TRUE(items.ok()) << items.status();
      if (items->empty()) return;
      for (const auto& item : *items) {
        sequences_.push_back(item.event.sequence);
        dropped_ += item.dropped;
        terminal_ = terminal_ || item.event.terminal;
      }
    }
  }
  void FollowToEnd() {
    while (true) {
      Drain();
      if (terminal_) return;
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&awake_));
      awake_ = false;
    }
  }
  EventSubscription& subscription() { return *subscription_; }
  const std::vector<int64_t>& sequences() const { return sequences_; }
  int64_t dropped() const { return dropped_; }

 private:
  absl::Mutex mutex_;
  bool awake_ = false;
  std::vector<int64_t> sequences_;
  int64_t dropped_ = 0;
  bool terminal_ = false;
  std::unique_ptr<EventSubscription> subscription_;  // goes first: its callback uses the rest
};

std::vector<int64_t> UpTo(int64_t last, int64_t first = 1) {
  std::vector<int64_t> sequences;
  for (int64_t i = first; i <= last; ++i) sequences.push_back(i);
  return sequences;
}

class EventLogTest : public ::testing::Test {
 protected:
  void Start(EventLogOptions options = {}) { log_ = JobEventLog::Create(store_, clock_, options).value(); }
  void AppendMetrics(int count) {
    for (int i = 0; i < count; ++i) log_->Append("j1", Metric(i + 1));
  }

  // A flush may still get the error of an attempt that was under way when the fault went.
  void FlushOnceItWorks() {
    while (!log_->Flush().ok()) {
    }
  }

  MemoryJobStore store_;
  ManualClock clock_;
  std::unique_ptr<JobEventLog> log_;
};

TEST_F(EventLogTest, SequencesRiseByOneInEachJob) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  log_->Append("j2", Change("QUEUED"));
  log_->Append("j1", Metric(1));
  ASSERT_TRUE(log_->Flush().ok());
  auto events = *log_->List("j1", 0, 10);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].sequence(), 1);
  EXPECT_EQ(events[1].sequence(), 2);
  EXPECT_EQ(events[0].create_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(log_->List("j2", 0, 10)->size(), 1u);
  EXPECT_EQ(log_->List("j1", 1, 10)->size(), 1u);
  EXPECT_EQ(log_->List("j1", 0, 1)->size(), 1u);
}

TEST_F(EventLogTest, SequencesContinueAfterARestart) {
  Start();
  AppendMetrics(3);
  log_ = nullptr;  // flushes
  Start();
  AppendMetrics(2);
  ASSERT_TRUE(log_->Flush().ok());
  Reader reader(*log_, "j1", 2);
  reader.Drain();
  EXPECT_EQ(reader.sequences(), UpTo(5, 3));
}

TEST_F(EventLogTest, StateIsDurableTogetherWithItsEventAndBeforeDone) {
  Start();
  Job job;
  job.id = "j1";
  absl::Notification durable;
  log_->Append("j1", Change("QUEUED"), {.changes = {PutJob{job}}, .done = [&](absl::Status status) {
                                          EXPECT_TRUE(status.ok());
                                          EXPECT_EQ(store_.LoadJobs()->size(), 1u);
                                          EXPECT_EQ(store_.LastEvent("j1")->sequence, 1);
                                          durable.Notify();
                                        }});
  durable.WaitForNotification();
}

TEST_F(EventLogTest, WaitingEventsAreCommittedInOneGroup) {
  store_.Block();
  Start();
  AppendMetrics(200);  // the writer may take some of them before the door
  store_.Open();
  ASSERT_TRUE(log_->Flush().ok());
  EXPECT_LE(store_.commits(), 3);
  EXPECT_EQ(log_->List("j1", 0, 1000)->size(), 200u);
}

TEST_F(EventLogTest, MetricsAreListedWithWhereToGoOn) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  AppendMetrics(3);
  log_->Append("j1", Change("RUNNING"));
  ASSERT_TRUE(log_->Flush().ok());
  int64_t last = 0;
  auto points = *log_->ListMetrics("j1", 0, 2, &last);
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[1].step(), 2);
  EXPECT_EQ(last, 3);
  points = *log_->ListMetrics("j1", last, 2, &last);
  ASSERT_EQ(points.size(), 1u);
  EXPECT_EQ(points[0].step(), 3);
  points = *log_->ListMetrics("j1", last, 2, &last);
  EXPECT_TRUE(points.empty());
  EXPECT_EQ(last, 4);
}

TEST_F(EventLogTest, SubscribingTeachesWhatIsWrong) {
  Start();
  EXPECT_EQ(log_->Subscribe("absent", 0, [] {}).status().code(), absl::StatusCode::kNotFound);
  AppendMetrics(2);
  ASSERT_TRUE(log_->Flush().ok());
  absl::Status status = log_->Subscribe("j1", 3, [] {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("last event is 2"));
  EXPECT_EQ(log_->Subscribe("j1", -1, [] {}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(EventLogTest, EndedTellsThatNothingMoreComes) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  log_->Append("j1", Change("CANCELLED", true));
  ASSERT_TRUE(log_->Flush().ok());
  Reader from_start(*log_, "j1");
  EXPECT_FALSE(from_start.subscription().Ended());
  from_start.Drain();
  EXPECT_TRUE(from_start.subscription().Ended());
  Reader from_end(*log_, "j1", 2);
  EXPECT_TRUE(from_end.subscription().Ended());
}

TEST_F(EventLogTest, ReplayThenFollowHasNoGapAndNoDuplicateWhileEventsArrive) {
  Start({.shared_ring_events = 1 << 20});
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  constexpr int kEvents = 20000;
  std::thread writer([&] {
    for (int i = 0; i < kEvents; ++i) log_->Append("j1", Metric(i + 1));
    log_->Append("j1", Change("SUCCEEDED", true));
  });
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      Reader reader(*log_, "j1");
      reader.FollowToEnd();
      if (reader.sequences() == UpTo(kEvents + 2) && reader.dropped() == 0) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  writer.join();
  EXPECT_EQ(right, 8);
}

TEST_F(EventLogTest, AReaderThatIsCutAndComesBackHasTheWholeSequence) {
  Start({.shared_ring_events = 1 << 20});
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  std::thread writer([&] {
    AppendMetrics(3000);
    log_->Append("j1", Change("SUCCEEDED", true));
  });
  std::vector<int64_t> joined;
  bool ended = false;
  while (!ended) {
    Reader reader(*log_, "j1", joined.empty() ? 0 : joined.back());
    auto items = *reader.subscription().Take(7);  // and then the connection breaks
    for (const auto& item : items) {
      joined.push_back(item.event.sequence);
      ended = item.event.terminal;
    }
  }
  writer.join();
  EXPECT_EQ(joined, UpTo(3002));
}

TEST_F(EventLogTest, ALaggingReaderLosesOnlyMetricsAndIsToldHowMany) {
  Start({.shared_ring_events = 10});
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  Reader reader(*log_, "j1");
  reader.Drain();
  for (int i = 0; i < 5; ++i) {
    AppendMetrics(30);
    log_->Append("j1", Change("PHASE" + std::to_string(i)));
  }
  AppendMetrics(30);
  log_->Append("j1", Change("SUCCEEDED", true));
  ASSERT_TRUE(log_->Flush().ok());  // 1 + 5 * 31 + 31 = 187
  reader.Drain();
  std::vector<int64_t> expected = {1, 32, 63, 94, 125, 156};
  for (int64_t sequence : UpTo(187, 178)) expected.push_back(sequence);
  EXPECT_EQ(reader.sequences(), expected);
  EXPECT_EQ(reader.dropped(), 187 - static_cast<int64_t>(expected.size()));
  EXPECT_TRUE(reader.subscription().Ended());
}

TEST_F(EventLogTest, HistoryFromBeforeTheSubscriptionIsNeverDropped) {
  Start({.shared_ring_events = 10});
  AppendMetrics(100);
  ASSERT_TRUE(log_->Flush().ok());
  Reader reader(*log_, "j1");
  reader.Drain();
  EXPECT_EQ(reader.sequences(), UpTo(100));
  EXPECT_EQ(reader.dropped(), 0);
}

TEST_F(EventLogTest, TwoHundredWatchersAllSeeTheTerminalEventOfSharedBytes) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  absl::BlockingCounter ready(200);
  std::atomic<int> ended = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 200; ++i) {
    threads.emplace_back([&] {
      Reader reader(*log_, "j1");
      ready.DecrementCount();
      reader.FollowToEnd();
      ++ended;
    });
  }
  ready.Wait();
  AppendMetrics(50);
  log_->Append("j1", Change("SUCCEEDED", true));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 200);
}

TEST_F(EventLogTest, WatchersShareOneSerialisation) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  auto a = log_->Subscribe("j1", 1, [] {}).value();
  auto b = log_->Subscribe("j1", 1, [] {}).value();
  log_->Append("j1", Change("RUNNING"));
  ASSERT_TRUE(log_->Flush().ok());
  auto from_a = *a->Take(10);
  auto from_b = *b->Take(10);
  ASSERT_EQ(from_a.size(), 1u);
  ASSERT_EQ(from_b.size(), 1u);
  EXPECT_EQ(from_a[0].event.bytes.get(), from_b[0].event.bytes.get());
  EXPECT_EQ(Parse(from_a[0].event).state_changed().to(), "RUNNING");
}

TEST_F(EventLogTest, DeletingAJobEndsItsSubscriptions) {
  Start();
  log_->Append("j1", Change("CANCELLED", true));
  ASSERT_TRUE(log_->Flush().ok());
  absl::Notification woken;
  auto subscription = log_->Subscribe("j1", 1, [&] { woken.Notify(); }).value();
  EXPECT_TRUE(subscription->Take(1)->empty());
  log_->Commit({.changes = {RemoveJob{"j1"}}});
  woken.WaitForNotification();
  EXPECT_EQ(subscription->Take(1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(log_->Subscribe("j1", 0, [] {}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(EventLogTest, NoCallbackRunsAfterASubscriptionIsGone) {
  Start();
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  std::thread writer([&] { AppendMetrics(5000); });
  for (int i = 0; i < 500; ++i) {
    auto alive = std::make_unique<std::atomic<int>>(0);
    auto subscription = log_->Subscribe("j1", 0, [&calls = *alive] { ++calls; }).value();
    (void)subscription->Take(4);
    subscription = nullptr;
    alive = nullptr;  // a late callback would touch freed memory (the sanitizers see it)
  }
  writer.join();
}

TEST_F(EventLogTest, WhenCommitsFailLastingEventsAreRetriedAndMetricsDropped) {
  Start({.retry_interval = absl::Milliseconds(1)});
  log_->Append("j1", Change("QUEUED"));
  ASSERT_TRUE(log_->Flush().ok());
  store_.FailCommits(absl::ResourceExhaustedError("No space left on device"));
  store_.Block();
  AppendMetrics(5);
  log_->Append("j1", Change("FAILED", true));
  int64_t before = store_.commits();
  store_.Open();
  store_.WaitForCommits(before + 5);
  EXPECT_EQ(store_.LastEvent("j1")->sequence, 1);
  store_.ClearFault();
  FlushOnceItWorks();
  auto events = *log_->List("j1", 0, 100);
  // Metrics that the writer had not taken yet when commits began to work again may still be there; holes may not.
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  EXPECT_EQ(events.back().state_changed().to(), "FAILED");
}

TEST_F(EventLogTest, FailFastEntriesGetTheErrorAndLeaveNoTrace) {
  Start({.retry_interval = absl::Milliseconds(1)});
  store_.FailCommits(absl::ResourceExhaustedError("No space left on device"));
  absl::Notification failed;
  log_->Append("j1", Change("QUEUED"), {.done =
                                            [&](absl::Status status) {
                                              EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
                                              failed.Notify();
                                            },
                                        .fail_fast = true});
  failed.WaitForNotification();
  log_->Append("j2", Change("QUEUED"));  // waits, and must not hold up what fails fast behind it
  EXPECT_EQ(log_->Flush().code(), absl::StatusCode::kResourceExhausted);
  store_.ClearFault();
  FlushOnceItWorks();
  EXPECT_TRUE(log_->List("j1", 0, 10)->empty());
  EXPECT_EQ(log_->List("j2", 0, 10)->size(), 1u);
}

TEST_F(EventLogTest, DestructionDoesNotHangWhenTheStoreIsOutOfOrder) {
  Start({.retry_interval = absl::Hours(1)});
  store_.FailCommits(absl::InternalError("broken"));
  absl::Notification told;
  log_->Append("j1", Change("QUEUED"), {.done = [&](absl::Status status) {
                                          EXPECT_FALSE(status.ok());
                                          told.Notify();
                                        }});
  log_ = nullptr;
  EXPECT_TRUE(told.HasBeenNotified());
}

TEST(EventLogOnSqlite, SurvivesARestartWithTheSameBytes) {
  TemporaryDirectory directory;
  ManualClock clock;
  std::string first;
  {
    auto database = Database::Open(directory.path() + "/attune.db").value();
    auto store = SqliteJobStore::Create(*database).value();
    auto log = JobEventLog::Create(*store, clock).value();
    log->Append("j1", Change("QUEUED"));
    log->Append("j1", Metric(1));
    ASSERT_TRUE(log->Flush().ok());
    first = *log->Subscribe("j1", 0, [] {}).value()->Take(1)->at(0).event.bytes;
  }
  auto database = Database::Open(directory.path() + "/attune.db").value();
  auto store = SqliteJobStore::Create(*database).value();
  auto log = JobEventLog::Create(*store, clock).value();
  log->Append("j1", Change("CANCELLED", true));
  Reader reader(*log, "j1");
  reader.FollowToEnd();
  EXPECT_THAT(reader.sequences(), ElementsAre(1, 2, 3));
  EXPECT_EQ(*log->Subscribe("j1", 0, [] {}).value()->Take(1)->at(0).event.bytes, first);
}

TEST(EventLogWithoutThread, ItsOwnerDecidesWhenGroupsAreTried) {
  MemoryJobStore store;
  ManualClock clock;
  GroupCommitEventLog writer(store, clock, EventLogOptions{.own_thread = false});
  JobEventLog& log = writer;
  EXPECT_FALSE(writer.HasWaiting());
  log.Append("j", Change("QUEUED"), {});
  EXPECT_TRUE(writer.HasWaiting());
  EXPECT_EQ(store.commits(), 0);
  EXPECT_EQ(writer.CommitNext(), absl::ZeroDuration());
  EXPECT_EQ(store.LastEvent("j")->sequence, 1);
  store.FailCommits(absl::ResourceExhaustedError("disk full"));
  log.Append("j", Metric(1), {});
  log.Append("j", Change("PREPARING"), {});
  absl::Status refused;
  log.Commit({.done = [&](absl::Status status) { refused = status; }, .fail_fast = true});
  EXPECT_EQ(writer.CommitNext(), EventLogOptions{}.retry_interval);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store.commits(), 3) << "with the metric and, at once, without";
  EXPECT_EQ(writer.CommitNext(), EventLogOptions{}.retry_interval);
  EXPECT_EQ(store.commits(), 4) << "one further try each time";
  store.ClearFault();
  EXPECT_TRUE(writer.HasWaiting());
  EXPECT_EQ(writer.CommitNext(), absl::ZeroDuration());
  EXPECT_FALSE(writer.HasWaiting());
  EXPECT_EQ(log.List("j", 0, 10)->size(), 2u);
  log.Append("j", Change("RUNNING"), {});
  EXPECT_TRUE(log.Flush().ok());
  EXPECT_EQ(store.LastEvent("j")->sequence, 3);
}

}  // namespace
}  // namespace attune::jobs
