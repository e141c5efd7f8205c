// Pause and resume, priority and preemption, limits: as clients and workers see them.
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr workers::ExitReason kClean = workers::ExitReason::kClean;

class LifecycleTest : public SchedulerFixture {
 protected:
  using Verb = void (Scheduler::*)(const std::string&, std::function<void(absl::StatusOr<v1::FineTuningJob>)>);
  absl::StatusOr<v1::FineTuningJob> Do(Verb verb, const std::string& name) {
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    (scheduler_.get()->*verb)(name, [&](auto job) { waiter.result = std::move(job); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::FineTuningJob> Pause(const std::string& name) { return Do(&Scheduler::PauseJob, name); }
  absl::StatusOr<v1::FineTuningJob> Resume(const std::string& name) { return Do(&Scheduler::ResumeJob, name); }
  absl::StatusOr<v1::FineTuningJob> Update(v1::UpdateFineTuningJobRequest request) {
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    scheduler_->UpdateJob(std::move(request), [&](auto job) { waiter.result = std::move(job); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::FineTuningJob> SetPriority(const std::string& name, int priority) {
    v1::UpdateFineTuningJobRequest request;
    request.mutable_fine_tuning_job()->set_name(name);
    request.mutable_fine_tuning_job()->set_priority(priority);
    request.mutable_update_mask()->add_paths("priority");
    return Update(request);
  }
  static v1::CreateFineTuningJobRequest With(int priority, const std::string& project = "") {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_scheduling()->set_priority(priority);
    request.mutable_spec()->mutable_scheduling()->set_project(project);
    return request;
  }
  // As a worker that was asked to suspend: a last checkpoint, and gone.
  void GoAway(const worker::v1::Assign& assigned, int64_t step) {
    Save(assigned, step);
    pool_->End(AttemptOf(assigned), workers::WorkerLost{kClean, "exited"});
  }
};

TEST_F(LifecycleTest, ARunningJobPausesAndGoesOn) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  EXPECT_EQ(Pause(job)->state(), State::STATE_PAUSING);
  EXPECT_EQ(Pause(job)->state(), State::STATE_PAUSING) << "again changes nothing";
  EXPECT_EQ(pool_->WaitForSuspend(), AttemptOf(assigned));
  EXPECT_THAT(std::string(Resume(job).status().message()), HasSubstr("resume it when it is PAUSED"));
  GoAway(assigned, 12);
  EXPECT_THAT(WaitForState(job, State::STATE_PAUSED).state_changed().reason(), HasSubstr("step 12"));
  Settle();
  EXPECT_EQ(pool_->assignments(), 1u) << "it waits for its resumption";
  EXPECT_EQ(scheduler_->Counts().queued, 0);
  EXPECT_NE(Resume(job)->state(), State::STATE_PAUSED);
  assigned = pool_->WaitForAssign(2);
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(job, 12));
  EXPECT_EQ(assigned.fence().attempt(), 2);
  EXPECT_NE(Resume(job)->state(), State::STATE_PAUSED) << "again changes nothing";
  SayStarted(assigned, 12);
  Save(assigned, 20);
  Finish(assigned, 20);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_THAT(States(job), ElementsAre("QUEUED", "PREPARING", "RUNNING", "PAUSING", "PAUSED", "QUEUED", "PREPARING", "RUNNING", "SUCCEEDED"));
  EXPECT_THAT(std::string(Pause(job).status().message()), HasSubstr("has ended (SUCCEEDED) and cannot be paused"));
  EXPECT_EQ(Resume(job).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LifecycleTest, AWaitingJobPauses) {
  pool_->SetStatus({.idle = 0});
  const std::string job = Create()->name();
  EXPECT_EQ(Pause(job)->state(), State::STATE_PAUSED);
  pool_->SetStatus({.idle = 1});
  Settle();
  EXPECT_EQ(pool_->assignments(), 0u);
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLED);
}

TEST_F(LifecycleTest, APausedJobKeepsItsModelAndSurvivesARestart) {
  pool_->SetStatus({.idle = 0});
  const std::string job = Create()->name();
  ASSERT_TRUE(Pause(job).ok());
  EXPECT_TRUE(scheduler_->IsInUse("models/mini"));
  Crash();
  EXPECT_EQ(Get(job).state(), State::STATE_PAUSED);
  EXPECT_NE(Resume(job)->state(), State::STATE_PAUSED);
  EXPECT_EQ(pool_->WaitForAssign(1).fence().job(), job);
}

TEST_F(LifecycleTest, AServerThatStopsWhileAJobIsPausingHasPausedIt) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 5);
  ASSERT_TRUE(Pause(job).ok());
  Crash();
  EXPECT_EQ(Get(job).state(), State::STATE_PAUSED);
  EXPECT_THAT(Get(job).state_reason(), HasSubstr("step 5"));
}

TEST_F(LifecycleTest, APausingJobCanFinishFailOrBeCancelled) {
  worker::v1::Assign first = Run();
  Save(first, 9);
  ASSERT_TRUE(Pause(first.fence().job()).ok());
  Finish(first, 9);
  EXPECT_THAT(WaitForState(first.fence().job(), State::STATE_SUCCEEDED).state_changed().reason(), HasSubstr("before it could be paused"));
  worker::v1::Assign second = Run(2);
  ASSERT_TRUE(Pause(second.fence().job()).ok());
  worker::v1::Failed failed;
  failed.set_message("x");
  pool_->End(AttemptOf(second), failed);
  WaitForState(second.fence().job(), State::STATE_FAILED);
  worker::v1::Assign third = Run(3);
  ASSERT_TRUE(Pause(third.fence().job()).ok());
  EXPECT_EQ(Cancel(third.fence().job())->state(), State::STATE_CANCELLING);
  EXPECT_EQ(Pause(third.fence().job()).status().code(), absl::StatusCode::kFailedPrecondition);
  Finish(third, 0, /*cancelled=*/true);
  WaitForState(third.fence().job(), State::STATE_CANCELLED);
}

TEST_F(LifecycleTest, WhoGivesWayHearsNoNameOfAnotherProject) {
  worker::v1::Assign low = Run(1, With(0));
  v1::CreateFineTuningJobRequest request = With(5);
  request.mutable_spec()->mutable_scheduling()->set_project("others");
  const std::string urgent = Create(request)->name();
  EXPECT_EQ(pool_->WaitForSuspend(), AttemptOf(low));
  GoAway(low, 7);
  const std::string reason = WaitForState(low.fence().job(), State::STATE_QUEUED, 2).state_changed().reason();
  EXPECT_THAT(reason, HasSubstr("gave way to a job of another project"));
  EXPECT_THAT(reason, ::testing::Not(HasSubstr(urgent)));
}

TEST_F(LifecycleTest, AHigherPriorityTakesTheSlotAndGivesItBack) {
  worker::v1::Assign low = Run(1, With(0));
  const std::string urgent = Create(With(5))->name();
  EXPECT_EQ(pool_->WaitForSuspend(), AttemptOf(low));
  EXPECT_EQ(Get(low.fence().job()).state(), State::STATE_RUNNING) << "until its worker has gone";
  GoAway(low, 7);
  const v1::JobEvent queued = WaitForState(low.fence().job(), State::STATE_QUEUED, 2);
  EXPECT_EQ(queued.level(), v1::JobEvent::LEVEL_INFO) << "nothing was lost";
  EXPECT_THAT(queued.state_changed().reason(), HasSubstr("gave way to " + urgent));
  worker::v1::Assign high = pool_->WaitForAssign(2);
  EXPECT_EQ(high.fence().job(), urgent);
  SayStarted(high);
  Save(high, 3);
  Finish(high, 3);
  worker::v1::Assign again = pool_->WaitForAssign(3);
  EXPECT_EQ(again.fence().job(), low.fence().job());
  EXPECT_EQ(again.resume_dir(), CheckpointPath(low.fence().job(), 7));
}

TEST_F(LifecycleTest, UpdatingThePriorityOfAWaitingJobCanTakeASlot) {
  worker::v1::Assign running = Run();
  const std::string first = Create()->name(), second = Create()->name();
  Settle();
  EXPECT_EQ(Get(second).jobs_ahead(), 1);
  EXPECT_EQ(Get(second).blocking_resource(), "job_slots");
  const absl::StatusOr<v1::FineTuningJob> raised = SetPriority(second, 1);
  ASSERT_TRUE(raised.ok()) << raised.status();
  EXPECT_EQ(raised->priority(), 1);
  EXPECT_EQ(pool_->WaitForSuspend(), AttemptOf(running));
  Settle();
  EXPECT_EQ(Get(second).jobs_ahead(), 0);
  EXPECT_EQ(Get(first).jobs_ahead(), 1);
  bool told = false;
  for (const v1::JobEvent& event : Events(second)) told = told || event.log_line().text() == "changed on request: priority 1 (was 0)";
  EXPECT_TRUE(told);
  Crash();
  EXPECT_EQ(Get(second).priority(), 1) << "durable";
}

TEST_F(LifecycleTest, BadUpdatesChangeNothing) {
  pool_->SetStatus({.idle = 0});
  const std::string job = Create()->name();
  EXPECT_THAT(std::string(SetPriority(job, 101).status().message()), HasSubstr("-100 to 100, not 101"));
  v1::UpdateFineTuningJobRequest request;
  request.mutable_fine_tuning_job()->set_name(job);
  EXPECT_THAT(std::string(Update(request).status().message()), HasSubstr("must name what to change"));
  request.mutable_update_mask()->add_paths("prioriti");
  EXPECT_THAT(std::string(Update(request).status().message()), HasSubstr("did you mean priority?"));
  request.mutable_update_mask()->set_paths(0, "labels");
  (*request.mutable_fine_tuning_job()->mutable_labels())[""] = "x";
  EXPECT_EQ(Update(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_update_mask()->set_paths(0, "display_name");
  request.mutable_fine_tuning_job()->set_display_name(std::string(257, 'x'));
  EXPECT_EQ(Update(request).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SetPriority("fineTuningJobs/nobody", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(SetPriority("nonsense", 1).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(Cancel(job).ok());
  EXPECT_EQ(SetPriority(job, 1).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LifecycleTest, NameAndLabelsChange) {
  pool_->SetStatus({.idle = 0});
  v1::UpdateFineTuningJobRequest request;
  request.mutable_fine_tuning_job()->set_name(Create()->name());
  request.mutable_fine_tuning_job()->set_display_name("better");
  (*request.mutable_fine_tuning_job()->mutable_labels())["team"] = "nlp";
  request.mutable_update_mask()->add_paths("display_name");
  request.mutable_update_mask()->add_paths("labels");
  const absl::StatusOr<v1::FineTuningJob> job = Update(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->display_name(), "better");
  EXPECT_EQ(job->labels().at("team"), "nlp");
}

TEST_F(LifecycleTest, AJobThatTrainsForTooLongEndsAndKeepsItsCheckpoints) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->set_max_run_seconds(100);
  worker::v1::Assign assigned = Run(1, request);
  const std::string job = assigned.fence().job();
  const auto say_progress = [&](int64_t step) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_progress()->set_step(step);
    pool_->Say(message);
    Settle();
  };
  clock_.Advance(absl::Seconds(60));
  say_progress(30);
  ASSERT_TRUE(Pause(job).ok());
  GoAway(assigned, 30);
  WaitForState(job, State::STATE_PAUSED);
  EXPECT_NEAR(Get(job).run_seconds(), 60, 1e-6);
  clock_.Advance(absl::Hours(5));  // a pause costs nothing
  ASSERT_TRUE(Resume(job).ok());
  assigned = pool_->WaitForAssign(2);
  SayStarted(assigned, 30);
  WaitForState(job, State::STATE_RUNNING, 2);
  clock_.Advance(absl::Seconds(39));
  say_progress(49);
  clock_.Advance(absl::Seconds(2));
  say_progress(50);
  EXPECT_EQ(pool_->WaitForCancel(), AttemptOf(assigned));
  Save(assigned, 50);
  Finish(assigned, 0, /*cancelled=*/true);
  WaitForState(job, State::STATE_FAILED);
  EXPECT_EQ(Get(job).error().code(), 4) << "DEADLINE_EXCEEDED";
  EXPECT_THAT(Get(job).error().message(), HasSubstr("100 seconds"));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(50, 30));
}

TEST_F(LifecycleTest, AJobSaysHowManyLostAttemptsItBears) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_scheduling()->set_max_lost_attempts(1);
  worker::v1::Assign assigned = Run(1, request);
  Lose(assigned);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
}

TEST_F(LifecycleTest, AWaitingJobIsToldWhenItWillStart) {
  worker::v1::Assign running = Run();
  const std::string job = Create()->name();
  Settle();
  worker::v1::ConnectRequest message = Message(running);
  message.mutable_progress()->set_eta_seconds(90);
  pool_->Say(message);
  clock_.Advance(absl::Seconds(10));
  Settle();
  ASSERT_TRUE(Get(job).has_predicted_start_time());
  EXPECT_EQ(Get(job).predicted_start_time().seconds(), absl::ToUnixSeconds(clock_.Now()) + 90);
}

TEST_F(LifecycleTest, ADamagedCheckpointIsDroppedForTheOneBefore) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10, /*is_best=*/false, 0.5);
  Save(assigned, 20, /*is_best=*/true, 0.9);
  std::ofstream(CheckpointPath(job, 20) + "/optimizer.safetensors") << "m0ments";  // of the same size
  Lose(assigned);
  assigned = pool_->WaitForAssign(2);
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(job, 10));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(10));
  EXPECT_EQ(Get(job).best_checkpoint(), job + "/checkpoints/10");
  EXPECT_FALSE(FileExists(CheckpointPath(job, 20)));
  std::string told;
  for (const v1::JobEvent& event : Events(job)) {
    if (event.message().find("damaged") != std::string::npos) told = event.message();
  }
  EXPECT_THAT(told, HasSubstr("the checkpoint at step 20 is damaged and was dropped (optimizer.safetensors is not what was written"));
  EXPECT_THAT(told, HasSubstr("it goes on from the checkpoint at step 10"));
}

TEST_F(LifecycleTest, WithoutAWholeCheckpointItStartsAgain) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  std::filesystem::remove(CheckpointPath(job, 10) + "/model.safetensors");
  Lose(assigned);
  assigned = pool_->WaitForAssign(2);
  EXPECT_EQ(assigned.resume_dir(), "");
  EXPECT_EQ(Get(job).best_checkpoint(), "");
}

TEST_F(LifecycleTest, ADiskThatIsNotMountedIsNotTakenForDamage) {
  worker::v1::Assign assigned = Run(1, WithoutRetries());
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  std::filesystem::rename(directory_.path() + "/jobs", directory_.path() + "/elsewhere");
  Lose(assigned);
  WaitForState(job, State::STATE_FAILED);
  EXPECT_THAT(Get(job).error().message(), HasSubstr("is its disk mounted?"));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(10));
}

// 1,000 jobs of 3 projects and 3 priorities on 2 slots.
TEST_F(LifecycleTest, AThousandJobsStartByPriorityAndTakeTurns) {
  Stop();
  idle_at_start_ = 0;
  Start({.job_slots = 2, .aging_interval = absl::InfiniteDuration()});
  constexpr int kJobs = 1000;
  std::map<std::string, std::pair<int, std::string>> kinds;  // by name: priority, project
  std::map<std::pair<int, std::string>, int> expected;
  for (int i = 0; i < kJobs; ++i) {
    const std::pair<int, std::string> kind = {(i / 3) % 3, std::string(1, static_cast<char>('a' + i % 3))};
    kinds[Create(With(kind.first, kind.second))->name()] = kind;
    ++expected[kind];
  }
  Settle();
  std::set<int> positions;
  for (const auto& [name, kind] : kinds) positions.insert(Get(name).jobs_ahead());
  EXPECT_EQ(positions.size(), static_cast<size_t>(kJobs)) << "each has a place of its own";
  EXPECT_EQ(*positions.rbegin(), kJobs - 1);
  pool_->SetStatus({.idle = 2});
  std::map<std::pair<int, std::string>, int> started;
  int last_priority = 2;
  for (size_t n = 1; n <= kJobs; ++n) {
    const worker::v1::Assign assigned = pool_->WaitForAssign(n);
    const auto& [priority, project] = kinds.at(assigned.fence().job());
    ASSERT_LE(priority, last_priority) << n;
    last_priority = priority;
    ++started[{priority, project}];
    if (priority == last_priority) {
      // Between two jobs that run at once and equal lengths, no project of a priority is ever more than two ahead of another that still waits.
      for (const char* other : {"a", "b", "c"}) {
        const std::pair<int, std::string> another(priority, other);
        if (started[another] == expected[another]) continue;
        ASSERT_LE(started.at(kinds.at(assigned.fence().job())), started[another] + 2) << n;
      }
    }
    if (n % 2 == 1 && n < kJobs) continue;  // two at a time
    for (size_t k = n - 1; k <= n; ++k) {
      const worker::v1::Assign running = pool_->WaitForAssign(k);
      SayStarted(running);
      WaitForState(running.fence().job(), State::STATE_RUNNING);
    }
    clock_.Advance(absl::Seconds(60));
    for (size_t k = n - 1; k <= n; ++k) {
      const worker::v1::Assign running = pool_->WaitForAssign(k);
      WriteCheckpointFiles(CheckpointPath(running.fence().job(), 1), 1);
      SayCheckpoint(running, 1);
      Finish(running, 1);
    }
  }
  EXPECT_EQ(started, expected);
}

}  // namespace
}  // namespace attune::scheduler
