// Attempts that fail or are lost again and again: when they are tried again, and when not.
#include <limits>

#include "gmock/gmock.h"
#include "server/base/clock.h"
#include "server/scheduler/executors/serial_executor.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Info = v1::FailureInfo;

TEST(SerialExecutor, WakesTheIdleTaskWithoutAnythingPosted) {
  absl::Notification woken;
  int runs = 0;
  std::shared_ptr<SerialExecutor> loop;
  absl::Notification made;
  loop = std::make_shared<SerialExecutor>([&] {
    made.WaitForNotification();
    if (++runs == 1) loop->WakeAfter(absl::Milliseconds(1));
    if (runs == 2) woken.Notify();
  });
  made.Notify();
  loop->Post([] {});
  woken.WaitForNotification();
  loop->Stop();
  EXPECT_EQ(runs, 2) << "once for each wish";
}

class RetryTest : public SchedulerFixture {
 protected:
  using Verb = void (Scheduler::*)(const std::string&, std::function<void(absl::StatusOr<v1::FineTuningJob>)>);
  absl::StatusOr<v1::FineTuningJob> Do(Verb verb, const std::string& name) {
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    (scheduler_.get()->*verb)(name, [&](auto job) { waiter.result = std::move(job); waiter.there.Notify(); });
    return waiter.Wait();
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    Settle();
  }
  absl::Duration Left(const std::string& job) {
    const v1::FineTuningJob now = Get(job);
    EXPECT_TRUE(now.has_retry_time());
    return absl::FromUnixSeconds(now.retry_time().seconds()) - clock_.Now();
  }
  // A job whose first attempt saved a checkpoint and failed, and which waits.
  std::string Waiting(Info::Category category = Info::CATEGORY_SYSTEM) {
    const worker::v1::Assign assigned = Run();
    const std::string job = assigned.fence().job();
    Save(assigned, 20);
    Fail(assigned, category);
    WaitForState(job, State::STATE_QUEUED, 2);
    return job;
  }
};

TEST_F(RetryTest, AFailedAttemptIsTriedAgainFromTheLastCheckpointAfterAWhile) {
  const std::string job = Waiting(Info::CATEGORY_RESOURCE);
  Settle();
  v1::FineTuningJob waiting = Get(job);
  EXPECT_EQ(waiting.state(), State::STATE_QUEUED);
  EXPECT_EQ(waiting.state_reason(),
            "attempt 1 failed (the device is not well); it is tried again at 2023-11-14T22:13:30Z, 1 of 3; it goes on from the checkpoint at step 20");
  EXPECT_EQ(waiting.blocking_resource(), "retry_time");
  EXPECT_EQ(waiting.jobs_ahead(), 0);
  EXPECT_EQ(waiting.retries().at("RESOURCE"), 1);
  EXPECT_FALSE(waiting.has_error()) << "it has not failed";
  EXPECT_EQ(Left(job), absl::Seconds(10));
  const v1::JobEvent event = WaitForState(job, State::STATE_QUEUED, 2);
  EXPECT_EQ(event.level(), v1::JobEvent::LEVEL_WARNING);
  EXPECT_THAT(event.message(), HasSubstr("it is tried again at 2023-11-14T22:13:30Z, 1 of 3"));
  WaitForEvent(job, [](const v1::JobEvent& line) { return line.log_line().text() == "words"; });
  Advance(absl::Seconds(9));
  EXPECT_EQ(pool_->assignments(), 1u) << "not before its time";
  Advance(absl::Seconds(1));
  const worker::v1::Assign again = pool_->WaitForAssign(2);
  EXPECT_EQ(again.fence().attempt(), 2);
  EXPECT_EQ(again.resume_dir(), CheckpointPath(job, 20));
  EXPECT_FALSE(Get(job).has_retry_time());
  SayStarted(again, 20);
  Save(again, 30);
  Finish(again, 30);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_EQ(Get(job).retries().at("RESOURCE"), 1) << "for the record";
}

TEST_F(RetryTest, TheTimerNeedsNobodyToCallTheScheduler) {
  Stop();
  events_ = jobs::JobEventLog::Create(store_, Clock::System()).value();
  pool_ = std::make_unique<workers::FakeWorkerPool>();
  scheduler_ = Scheduler::Create({.data_directory = directory_.path()}, {store_, *events_, *pool_, models_, datasets_, files_, Clock::System()}, Description()).value();
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_backoff_seconds(1);
  const worker::v1::Assign assigned = Run(1, request);
  const absl::Time failed = absl::Now();
  Fail(assigned, Info::CATEGORY_SYSTEM);
  pool_->WaitForAssign(2);
  EXPECT_GE(absl::Now() - failed, absl::Seconds(1));
}

TEST_F(RetryTest, EachRetryOfACategoryWaitsTwiceAsLongUntilTheyAreUsedUp) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_max_system_retries(2);
  worker::v1::Assign assigned = Run(1, request);
  const std::string job = assigned.fence().job();
  const auto fail_and_wait = [&](Info::Category category, int n, absl::Duration backoff) {
    Fail(assigned, category);
    WaitForState(job, State::STATE_QUEUED, n);
    EXPECT_EQ(Left(job), backoff) << n;
    Advance(backoff);
    assigned = pool_->WaitForAssign(static_cast<size_t>(n));
  };
  fail_and_wait(Info::CATEGORY_SYSTEM, 2, absl::Seconds(10));
  fail_and_wait(Info::CATEGORY_SYSTEM, 3, absl::Seconds(20));
  fail_and_wait(Info::CATEGORY_RESOURCE, 4, absl::Seconds(10));  // a category of its own
  Fail(assigned, Info::CATEGORY_SYSTEM);
  WaitForState(job, State::STATE_FAILED);
  const v1::FineTuningJob failed = Get(job);
  EXPECT_EQ(failed.error().message(), "the device is not well (after 2 retries)");
  EXPECT_EQ(failed.retries().at("SYSTEM"), 2);
  EXPECT_EQ(failed.retries().at("RESOURCE"), 1);
  Info info;
  ASSERT_TRUE(failed.error().details(0).UnpackTo(&info));
  EXPECT_TRUE(info.retryable());
  EXPECT_THAT(info.log_tail(), ElementsAre("last", "words"));
}

TEST_F(RetryTest, FaultsOfTheSpecAndTheDataAreFinal) {
  size_t n = 0;
  for (const auto& [category, retryable] : {std::pair(Info::CATEGORY_USER, true), std::pair(Info::CATEGORY_DATA, true), std::pair(Info::CATEGORY_SYSTEM, false)}) {
    const worker::v1::Assign assigned = Run(++n);
    Fail(assigned, category, retryable);
    WaitForState(assigned.fence().job(), State::STATE_FAILED);
    EXPECT_EQ(Get(assigned.fence().job()).error().message(), "the device is not well");
    EXPECT_THAT(Get(assigned.fence().job()).retries(), IsEmpty());
  }
  EXPECT_EQ(pool_->assignments(), 3u);
}

TEST_F(RetryTest, AJobThatCannotBePreparedIsTriedAgain) {
  files_.Inject({.op = FileOp::kCreateDirectories, .path_contains = "/checkpoints", .status = absl::ResourceExhaustedError("No space left on device")});
  const std::string job = Create()->name();
  WaitForState(job, State::STATE_QUEUED, 2);
  EXPECT_THAT(Get(job).state_reason(), HasSubstr("No space left on device"));
  files_.Clear();
  Advance(absl::Seconds(10));
  EXPECT_EQ(pool_->WaitForAssign(1).fence().attempt(), 2);
}

TEST_F(RetryTest, AWaitingJobHoldsNoSlotAndStandsInNobodysWay) {
  const std::string job = Waiting();
  const worker::v1::Assign other = Run(2);
  EXPECT_NE(other.fence().job(), job);
  Advance(absl::Seconds(10));
  EXPECT_FALSE(Get(job).has_retry_time()) << "from now on it waits for the slot";
  EXPECT_EQ(Get(job).blocking_resource(), "job_slots");
  EXPECT_THAT(Get(job).state_reason(), HasSubstr("waits for the running job to end; attempt 1 failed"));
  Save(other, 1);
  Finish(other, 1);
  EXPECT_EQ(pool_->WaitForAssign(3).fence().job(), job);
}

TEST_F(RetryTest, TheWaitSurvivesARestartOfTheServer) {
  const std::string job = Waiting();
  clock_.Advance(absl::Seconds(4));
  Crash();
  Settle();
  EXPECT_EQ(Left(job), absl::Seconds(6));
  EXPECT_EQ(Get(job).retries().at("SYSTEM"), 1);
  EXPECT_EQ(pool_->assignments(), 0u);
  Advance(absl::Seconds(6));
  EXPECT_EQ(pool_->WaitForAssign(1).resume_dir(), CheckpointPath(job, 20));
}

TEST_F(RetryTest, AWaitThatEndedWhileTheServerWasDownIsOver) {
  const std::string job = Waiting();
  Stop();
  clock_.Advance(absl::Hours(1));
  Start();
  EXPECT_EQ(pool_->WaitForAssign(1).fence().attempt(), 2);
}

TEST_F(RetryTest, AWaitingJobCanBeCancelled) {
  const std::string job = Waiting();
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLED);
  EXPECT_FALSE(Get(job).has_retry_time());
  Advance(absl::Hours(1));
  EXPECT_EQ(pool_->assignments(), 1u);
}

TEST_F(RetryTest, ResumingAWaitingJobLeavesItWaitingAndAPauseEndsTheWait) {
  const std::string job = Waiting();
  EXPECT_EQ(Do(&Scheduler::ResumeJob, job)->state(), State::STATE_QUEUED);
  Settle();
  EXPECT_EQ(pool_->assignments(), 1u);
  EXPECT_EQ(Left(job), absl::Seconds(10));
  EXPECT_EQ(Do(&Scheduler::PauseJob, job)->state(), State::STATE_PAUSED);
  EXPECT_FALSE(Get(job).has_retry_time());
  Advance(absl::Hours(1));
  EXPECT_EQ(pool_->assignments(), 1u) << "it waits for its resumption";
  EXPECT_TRUE(Do(&Scheduler::ResumeJob, job).ok());
  EXPECT_EQ(pool_->WaitForAssign(2).resume_dir(), CheckpointPath(job, 20));
}

TEST_F(RetryTest, AFailureWhilePausingPauses) {
  const worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 20);
  ASSERT_TRUE(Do(&Scheduler::PauseJob, job).ok());
  Fail(assigned, Info::CATEGORY_SYSTEM);
  EXPECT_THAT(WaitForState(job, State::STATE_PAUSED).state_changed().reason(), HasSubstr("paused on request; attempt 1 failed (the device is not well); it goes on"));
  EXPECT_EQ(Get(job).retries().at("SYSTEM"), 1);
}

TEST_F(RetryTest, AFailureWhileCancellingIsAFailure) {
  const worker::v1::Assign assigned = Run();
  ASSERT_TRUE(Cancel(assigned.fence().job()).ok());
  Fail(assigned, Info::CATEGORY_SYSTEM);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
}

TEST_F(RetryTest, AJobThatIsOutOfTimeIsNotTriedAgain) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->set_max_run_seconds(10);
  const worker::v1::Assign assigned = Run(1, request);
  clock_.Advance(absl::Seconds(11));
  worker::v1::ConnectRequest message = Message(assigned);
  message.mutable_progress()->set_step(3);
  pool_->Say(message);
  pool_->WaitForCancel();
  Finish(assigned, 0, /*cancelled=*/true);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
}

TEST_F(RetryTest, AttemptsThatAreLostInARowWaitButForTheFirst) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->set_max_lost_attempts(4);
  worker::v1::Assign assigned = Run(1, request);
  const std::string job = assigned.fence().job();
  Lose(assigned);
  assigned = pool_->WaitForAssign(2);  // at once
  Lose(assigned);
  EXPECT_THAT(WaitForState(job, State::STATE_QUEUED, 3).state_changed().reason(), HasSubstr("signal 9 (SIGKILL); it is tried again at 2023-11-14T22:13:30Z; it starts"));
  EXPECT_EQ(Left(job), absl::Seconds(10));
  Advance(absl::Seconds(10));
  assigned = pool_->WaitForAssign(3);
  Lose(assigned);
  WaitForState(job, State::STATE_QUEUED, 4);
  EXPECT_EQ(Left(job), absl::Seconds(20));
  Advance(absl::Seconds(20));
  assigned = pool_->WaitForAssign(4);
  Lose(assigned);
  WaitForState(job, State::STATE_FAILED);
  EXPECT_THAT(Get(job).retries(), IsEmpty()) << "those are counted apart";
}

TEST_F(RetryTest, WithoutBackoffARetryFollowsAtOnce) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_backoff_seconds(0);
  const worker::v1::Assign assigned = Run(1, request);
  Fail(assigned, Info::CATEGORY_SYSTEM);
  pool_->WaitForAssign(2);
  EXPECT_THAT(WaitForState(assigned.fence().job(), State::STATE_QUEUED, 2).message(), HasSubstr("it is tried again at once, 1 of 3"));
}

TEST_F(RetryTest, ACategoryThatNobodyKnowsIsTheSystems) {
  const worker::v1::Assign assigned = Run(1, WithoutRetries());
  Fail(assigned, static_cast<Info::Category>(77));
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
  Info info;
  ASSERT_TRUE(Get(assigned.fence().job()).error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), Info::CATEGORY_SYSTEM);
}

TEST_F(RetryTest, ChangesThatCannotBeAreNotRepeated) {
  const worker::v1::Assign assigned = Run();
  worker::v1::ConnectRequest message = Message(assigned);
  message.mutable_adjusted()->set_batch_parts(std::numeric_limits<int32_t>::max());
  pool_->Say(message);
  WaitForEvent(assigned.fence().job(), [](const v1::JobEvent& event) { return event.level() == v1::JobEvent::LEVEL_WARNING; });
  EXPECT_THAT(Get(assigned.fence().job()).adjustments(), IsEmpty());
}

}  // namespace
}  // namespace attune::scheduler
