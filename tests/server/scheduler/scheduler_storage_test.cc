// What outlives a process and what is cleaned up: checkpoints, retention, deletion, restart.
#include "gmock/gmock.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StorageTest : public SchedulerFixture {
 protected:
  static v1::CreateFineTuningJobRequest KeepOne() {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_checkpointing()->set_keep_last(1);
    return request;
  }
  // Rows of removed checkpoints go last; waits for that.
  void WaitForRows(size_t count) {
    while (store_.LoadCheckpoints()->size() != count) {
      Settle();
      ASSERT_TRUE(events_->Flush().ok());
    }
  }
};

TEST_F(StorageTest, WhileABackupIsBegunNothingIsRemoved) {
  worker::v1::Assign assigned = Run();
  const std::string& job = assigned.fence().job();
  scheduler_->HoldCheckpoints([&] {
    for (int64_t step = 1; step <= 6; ++step) Save(assigned, step);
    Settle();
    for (int64_t step = 1; step <= 6; ++step) EXPECT_TRUE(FileExists(CheckpointPath(job, step))) << step;
    EXPECT_EQ(DeleteCheckpoint(job + "/checkpoints/2").code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(Delete(job).code(), absl::StatusCode::kUnavailable);
  });
  Settle();
  scheduler_->HoldCheckpoints([] {});  // what has begun is over
  EXPECT_LT(CheckpointSteps(job).size(), 6u) << "then what was due goes";
  EXPECT_FALSE(FileExists(CheckpointPath(job, 2)));
}

TEST_F(StorageTest, CheckpointsAreListedWithFilesAndDigests) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10, true, 0.7);
  Save(assigned, 20);
  v1::Checkpoint checkpoint = scheduler_->GetCheckpoint(job + "/checkpoints/10").value();
  EXPECT_TRUE(checkpoint.is_best());
  EXPECT_TRUE(checkpoint.resumable());
  EXPECT_EQ(checkpoint.metrics().at("accuracy"), 0.7);
  EXPECT_EQ(checkpoint.files_size(), 2);
  EXPECT_EQ(checkpoint.files(0).sha256().size(), 64u);
  EXPECT_EQ(scheduler_->GetCheckpoint(job + "/checkpoints/best")->step(), 10);
  EXPECT_EQ(scheduler_->GetCheckpoint(job + "/checkpoints/last")->step(), 20);
  EXPECT_FALSE(scheduler_->GetCheckpoint(job + "/checkpoints/last")->is_best());
  EXPECT_EQ(scheduler_->GetCheckpoint(job + "/checkpoints/15").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*scheduler_->CheckpointDirectory(job + "/checkpoints/best"), CheckpointPath(job, 10));
  v1::ListCheckpointsRequest request;
  request.set_parent(job);
  request.set_page_size(1);
  v1::ListCheckpointsResponse page = scheduler_->ListCheckpoints(request).value();
  EXPECT_EQ(page.checkpoints(0).step(), 20);
  request.set_page_token(page.next_page_token());
  page = scheduler_->ListCheckpoints(request).value();
  EXPECT_EQ(page.checkpoints(0).step(), 10);
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_F(StorageTest, WithoutEvaluationsTheNewestIsTheBest) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  Save(assigned, 20);
  EXPECT_EQ(Get(assigned.fence().job()).best_checkpoint(), assigned.fence().job() + "/checkpoints/20");
}

TEST_F(StorageTest, RetentionKeepsBestLastAndTheAskedNumberBesides) {
  worker::v1::Assign assigned = Run(1, KeepOne());
  const std::string job = assigned.fence().job();
  for (int64_t step = 10; step <= 60; step += 10) Save(assigned, step, /*is_best=*/step == 20);
  WaitForRows(3);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(60, 50, 20));
  EXPECT_FALSE(FileExists(CheckpointPath(job, 10)));
  EXPECT_FALSE(FileExists(CheckpointPath(job, 40)));
  EXPECT_TRUE(FileExists(CheckpointPath(job, 20)));
  Finish(assigned, 20);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_EQ(Get(job).best_checkpoint(), job + "/checkpoints/20");
}

TEST_F(StorageTest, RetentionNeverRemovesThePinnedTheBestOrTheLastGoodOne) {
  worker::v1::Assign assigned = Run(1, KeepOne());
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  const absl::StatusOr<v1::Checkpoint> pinned = Pin(job + "/checkpoints/last");
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  EXPECT_EQ(pinned->name(), job + "/checkpoints/10");
  EXPECT_TRUE(pinned->pinned());
  for (int64_t step = 20; step <= 60; step += 10) Save(assigned, step, /*is_best=*/step == 20);
  WaitForRows(4);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(60, 50, 20, 10));
  Crash();  // durable
  EXPECT_TRUE(scheduler_->GetCheckpoint(job + "/checkpoints/10")->pinned());
  assigned = pool_->WaitForAssign(1);
  SayStarted(assigned, 60);
  Save(assigned, 70);
  Save(assigned, 80);
  WaitForRows(4);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(80, 70, 20, 10));
  // Newer ones that cannot be resumed are no reason to lose the last that can.
  for (int64_t step = 90; step <= 110; step += 10) {
    WriteCheckpointFiles(CheckpointPath(job, step), step);
    std::ofstream(CheckpointPath(job, step) + "/manifest.json") << "{\"step\": " << step << ", \"files\": [{\"path\": \"optimizer.safetensors\", \"size_bytes\": 7}]}";
    SayCheckpoint(assigned, step);
    WaitForCheckpoint(job, step);
  }
  WaitForRows(5);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(110, 100, 80, 20, 10));
}

TEST_F(StorageTest, AnUnpinnedCheckpointIsOneLikeOthers) {
  worker::v1::Assign assigned = Run(1, KeepOne());
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  ASSERT_TRUE(Pin(job + "/checkpoints/10").ok());
  ASSERT_TRUE(Pin(job + "/checkpoints/10").ok()) << "again changes nothing";
  for (int64_t step = 20; step <= 40; step += 10) Save(assigned, step);
  WaitForRows(3);
  Finish(assigned, 40);
  WaitForState(job, State::STATE_SUCCEEDED);
  const size_t events = Events(job).size();
  const absl::Status refused = DeleteCheckpoint(job + "/checkpoints/10");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is pinned; unpin it first"));
  EXPECT_FALSE(Pin(job + "/checkpoints/10", false)->pinned());
  WaitForRows(2);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(40, 30)) << "retention has caught up";
  EXPECT_EQ(Events(job).size(), events) << "nothing follows a job's last event";
  ASSERT_TRUE(Pin(job + "/checkpoints/30").ok());
  EXPECT_TRUE(Delete(job).ok()) << "a job goes with its pinned checkpoints";
}

TEST_F(StorageTest, BadPinsAreRefused) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  EXPECT_THAT(std::string(Pin(job + "/checkpoints/10", true, "").status().message()), HasSubstr("must name what to change: pinned"));
  EXPECT_THAT(std::string(Pin(job + "/checkpoints/10", true, "step").status().message()), HasSubstr("\"step\" cannot be changed; pinned can"));
  EXPECT_EQ(Pin(job + "/checkpoints/20").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Pin("fineTuningJobs/nobody/checkpoints/20").status().code(), absl::StatusCode::kNotFound);
  store_.FailCommits(absl::ResourceExhaustedError("No space left on device"));
  EXPECT_EQ(Pin(job + "/checkpoints/10").status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(scheduler_->GetCheckpoint(job + "/checkpoints/10")->pinned()) << "what is not durable is not so";
  store_.ClearFault();
}

TEST_F(StorageTest, ACheckpointThatCannotBeRemovedStaysListedAndIsTriedAgain) {
  worker::v1::Assign assigned = Run(1, KeepOne());
  const std::string job = assigned.fence().job();
  files_.Inject({.op = FileOp::kRename, .path_contains = "step-10"});
  Save(assigned, 10);
  Save(assigned, 20);
  Save(assigned, 30);
  while (files_.CountCalls(FileOp::kRename, "step-10") == 0) Settle();
  Save(assigned, 40);
  WaitForRows(2);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(40, 30));
}

TEST_F(StorageTest, RetentionWaitsUntilTheNewestCheckpointIsDurable) {
  worker::v1::Assign assigned = Run(1, KeepOne());
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  store_.Block();
  for (int64_t step : {20, 30, 40}) {
    WriteCheckpointFiles(CheckpointPath(job, step), step);
    SayCheckpoint(assigned, step);
    while (CheckpointSteps(job).front() != step) Settle();
    if (step == 20) store_.WaitForSomebodyAtTheDoor();  // the others come in the next group
  }
  store_.LetOneThrough();
  for (int i = 0; i < 20; ++i) Settle();
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(40, 30, 20, 10)) << "a crash now must find 20, and what it says goes before it";
  EXPECT_TRUE(FileExists(CheckpointPath(job, 20)));
  store_.Open();
  WaitForCheckpoint(job, 40);
  while (CheckpointSteps(job).size() > 2) Settle();
  WaitForRows(2);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(40, 30));
}

TEST_F(StorageTest, DeletionsWaitUntilWhatTheyRestOnIsDurable) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  store_.Block();
  WriteCheckpointFiles(CheckpointPath(job, 20), 20);
  SayCheckpoint(assigned, 20);
  while (CheckpointSteps(job).front() != 20) Settle();
  Waiter<absl::Status> checkpoint, all;
  scheduler_->DeleteCheckpoint(job + "/checkpoints/10", [&](absl::Status status) { checkpoint.result = status; checkpoint.there.Notify(); });
  for (int i = 0; i < 20; ++i) Settle();
  EXPECT_TRUE(FileExists(CheckpointPath(job, 10))) << "20 could still be lost";
  Finish(assigned, 20);
  while (Get(job).state() != State::STATE_SUCCEEDED) Settle();
  scheduler_->DeleteJob(job, [&](absl::Status status) { all.result = status; all.there.Notify(); });
  for (int i = 0; i < 20; ++i) Settle();
  EXPECT_TRUE(FileExists(CheckpointPath(job, 20))) << "the next server could still find the job at work";
  store_.Open();
  EXPECT_TRUE(checkpoint.Wait().ok());
  EXPECT_TRUE(all.Wait().ok());
  EXPECT_FALSE(FileExists(assigned.output_dir()));
}

TEST_F(StorageTest, DamagedCheckpointsAreNotRegistered) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  WriteCheckpointFiles(CheckpointPath(job, 10), 11);  // the manifest of another step
  SayCheckpoint(assigned, 10);
  WriteCheckpointFiles(CheckpointPath(job, 20), 20);
  ASSERT_TRUE(files_.Truncate(CheckpointPath(job, 20) + "/model.safetensors", 3).ok());
  SayCheckpoint(assigned, 20);
  worker::v1::ConnectRequest message = Message(assigned);
  message.mutable_checkpoint_written()->set_step(30);
  message.mutable_checkpoint_written()->set_directory("../../other");
  pool_->Say(message);
  for (const char* words : {"step 10 cannot be used", "step 20 cannot be used", "step 30 was not taken"}) {
    WaitForEvent(job, [&](const v1::JobEvent& event) { return event.message().find(words) != std::string::npos; });
  }
  EXPECT_THAT(CheckpointSteps(job), IsEmpty());
}

TEST_F(StorageTest, DeletingACheckpoint) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10, true, 0.9);
  Save(assigned, 20, false, 0.6);
  Save(assigned, 30, false, 0.8);
  EXPECT_EQ(DeleteCheckpoint(job + "/checkpoints/30").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DeleteCheckpoint(job + "/checkpoints/10").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DeleteCheckpoint(job + "/checkpoints/last").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DeleteCheckpoint(job + "/checkpoints/99").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(DeleteCheckpoint(job + "/checkpoints/20").ok());
  EXPECT_FALSE(FileExists(CheckpointPath(job, 20)));
  EXPECT_THAT(*store_.LoadCheckpoints(), SizeIs(2));
  Finish(assigned, 10);
  WaitForState(job, State::STATE_SUCCEEDED);
  files_.Inject({.op = FileOp::kRename, .path_contains = "step-10"});
  EXPECT_THAT(std::string(DeleteCheckpoint(job + "/checkpoints/10").message()), HasSubstr("try again"));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(30, 10));
  ASSERT_TRUE(DeleteCheckpoint(job + "/checkpoints/10").ok());
  EXPECT_EQ(Get(job).best_checkpoint(), job + "/checkpoints/30") << "the next best";
}

TEST_F(StorageTest, DeletingAJobTakesFilesAndRows) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  EXPECT_THAT(std::string(Delete(job).message()), HasSubstr("RUNNING"));
  Finish(assigned, 10);
  WaitForState(job, State::STATE_SUCCEEDED);
  files_.Inject({.op = FileOp::kRemoveRecursively, .path_contains = "/jobs/"});
  EXPECT_THAT(std::string(Delete(job).message()), HasSubstr("try again"));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(10)) << "still there";
  ASSERT_TRUE(Delete(job).ok());
  EXPECT_FALSE(FileExists(assigned.output_dir()));
  EXPECT_EQ(scheduler_->GetJob(job).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(*store_.LoadJobs(), IsEmpty());
  EXPECT_THAT(*store_.LoadCheckpoints(), IsEmpty());
  EXPECT_EQ(events_->Subscribe(IdOf(job), 0, [] {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Delete(job).code(), absl::StatusCode::kNotFound);
}

TEST_F(StorageTest, DeletionSurvivesAStoreThatIsOutOfOrder) {
  pool_->SetStatus({.idle = 0});
  std::string job = Create()->name();
  ASSERT_TRUE(Cancel(job).ok());
  store_.FailCommits(absl::ResourceExhaustedError("No space left on device"));
  EXPECT_EQ(Delete(job).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(scheduler_->GetJob(job).ok());
  store_.ClearFault();
  EXPECT_TRUE(Delete(job).ok());
}

TEST_F(StorageTest, AKilledServersJobGoesOn) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  SayMetrics(assigned, 11);
  Settle();
  size_t seen = Events(job).size();
  // Left by the worker after its last report, and by a write that was cut off.
  WriteCheckpointFiles(CheckpointPath(job, 20), 20);
  WriteCheckpointFiles(CheckpointPath(job, 30) + ".tmp", 30);
  Crash();
  worker::v1::Assign second = pool_->WaitForAssign(1);
  EXPECT_EQ(second.fence().attempt(), 2);
  EXPECT_EQ(second.resume_dir(), CheckpointPath(job, 10));
  EXPECT_FALSE(FileExists(CheckpointPath(job, 20)));
  EXPECT_FALSE(FileExists(CheckpointPath(job, 30) + ".tmp"));
  EXPECT_THAT(States(job), ElementsAre("QUEUED", "PREPARING", "RUNNING", "QUEUED", "PREPARING"));
  std::vector<v1::JobEvent> events = Events(job);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  EXPECT_THAT(events[seen].message(), HasSubstr("the server stopped; it goes on from the checkpoint at step 10"));
  SayStarted(second, 10);
  WaitForState(job, State::STATE_RUNNING, 2);
  Save(second, 20);
  Finish(second, 20);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_EQ(store_.LoadJobs()->at(0).lost_attempts, 0);
}

TEST_F(StorageTest, RestartInEveryState) {
  worker::v1::Assign cancelling = Run();
  ASSERT_TRUE(Cancel(cancelling.fence().job()).ok());
  std::string queued = Create()->name();
  std::string cancelled = Create()->name();
  ASSERT_TRUE(Cancel(cancelled).ok());
  Crash();
  WaitForState(cancelling.fence().job(), State::STATE_CANCELLED);
  EXPECT_EQ(Get(cancelled).state(), State::STATE_CANCELLED);
  EXPECT_EQ(pool_->WaitForAssign(1).fence().job(), queued);
  Crash();  // while PREPARING
  EXPECT_EQ(pool_->WaitForAssign(1).fence().attempt(), 2);
  v1::ListFineTuningJobsResponse list = scheduler_->ListJobs({}, ProjectSet::All()).value();
  ASSERT_EQ(list.fine_tuning_jobs_size(), 3);
  EXPECT_EQ(list.fine_tuning_jobs(0).name(), cancelled) << "the order of creation survives";
  std::string newest = Create()->name();
  EXPECT_EQ(scheduler_->ListJobs({}, ProjectSet::All())->fine_tuning_jobs(0).name(), newest);
}

TEST_F(StorageTest, RemovalCutOffByACrashIsFinishedAtTheNextStart) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10, true);
  Save(assigned, 20);
  // The files went, the row did not.
  ASSERT_TRUE(files_.RemoveRecursively(CheckpointPath(job, 10)).ok());
  // And a whole job's files whose row is gone.
  ASSERT_TRUE(files_.CreateDirectories(directory_.path() + "/jobs/jorphan/checkpoints").ok());
  Crash();
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(20));
  EXPECT_EQ(Get(job).best_checkpoint(), job + "/checkpoints/20");
  EXPECT_THAT(*store_.LoadCheckpoints(), SizeIs(1));
  EXPECT_FALSE(FileExists(directory_.path() + "/jobs/jorphan"));
}

TEST_F(StorageTest, ADiskThatIsNotMountedForgetsNoCheckpointOfAnEndedJob) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  Finish(assigned, 10);
  WaitForState(job, State::STATE_SUCCEEDED);
  ASSERT_TRUE(files_.Rename(directory_.path() + "/jobs", directory_.path() + "/elsewhere").ok());
  Crash();
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(10));
}

TEST_F(StorageTest, AServerThatGoesWithoutDrainHandsItsJobsBack) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  Stop();
  Start();
  EXPECT_EQ(pool_->WaitForAssign(1).resume_dir(), CheckpointPath(job, 10));
  EXPECT_EQ(store_.LoadJobs()->at(0).lost_attempts, 0);
}

}  // namespace
}  // namespace attune::scheduler
