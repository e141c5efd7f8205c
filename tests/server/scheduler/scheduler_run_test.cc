// Attempts from start to end: the happy path, lost workers, late messages, failures, cancel, drain.
#include "gmock/gmock.h"
#include "server/jobs/violations.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RunTest : public SchedulerFixture {};

TEST_F(RunTest, TheWorkerGetsTheReplayedDataset) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_replay()->set_dataset("datasets/reviews");
  request.mutable_spec()->mutable_replay()->set_fraction(0.25);
  ASSERT_TRUE(Create(request).ok());
  EXPECT_EQ(pool_->WaitForAssign(1).replay_dataset_dir(), "/dir/datasets/reviews");
}

TEST_F(RunTest, ARangeTestSucceedsWithoutACheckpoint) {
  ASSERT_TRUE(Create().ok());
  worker::v1::Assign assigned = pool_->WaitForAssign(1);
  SayStarted(assigned);
  worker::v1::Finished finished;
  finished.mutable_lr_range_test_result()->set_steepest_learning_rate(1e-4);
  finished.mutable_lr_range_test_result()->set_tenth_of_minimum_learning_rate(2e-3);
  pool_->End(AttemptOf(assigned), finished);
  WaitForState(assigned.fence().job(), State::STATE_SUCCEEDED);
  const v1::FineTuningJob job = Get(assigned.fence().job());
  EXPECT_EQ(job.lr_range_test_result().steepest_learning_rate(), 1e-4);
  EXPECT_EQ(job.lr_range_test_result().tenth_of_minimum_learning_rate(), 2e-3);
  EXPECT_EQ(job.best_checkpoint(), "");
}

TEST_F(RunTest, HappyPath) {
  ASSERT_TRUE(Create().ok());
  worker::v1::Assign assigned = pool_->WaitForAssign(1);
  const std::string& job = assigned.fence().job();
  EXPECT_EQ(assigned.fence().attempt(), 1);
  EXPECT_EQ(assigned.model_dir(), "/dir/models/mini");
  EXPECT_EQ(assigned.dataset_dir(), "/dir/datasets/tweets");
  EXPECT_EQ(assigned.replay_dataset_dir(), "");
  EXPECT_EQ(assigned.output_dir(), directory_.path() + "/jobs/" + IdOf(job));
  EXPECT_EQ(assigned.resume_dir(), "");
  EXPECT_EQ(assigned.effective_spec().hyperparameters().batch_size(), 32);
  EXPECT_TRUE(FileExists(assigned.output_dir() + "/checkpoints"));
  EXPECT_EQ(Get(job).state(), State::STATE_PREPARING);
  EXPECT_EQ(scheduler_->Counts().running, 1);

  SayStarted(assigned);
  worker::v1::ConnectRequest message = Message(assigned);
  message.mutable_phase_started()->set_phase("head");
  pool_->Say(message);
  SayMetrics(assigned, 1);
  message = Message(assigned);
  message.mutable_progress()->set_step(7);
  message.mutable_progress()->set_eta_seconds(30);
  pool_->Say(message);
  message = Message(assigned);
  message.mutable_log_line()->set_text("hello");
  pool_->Say(message);
  message = Message(assigned);
  message.mutable_evaluation()->set_split("validation");
  message.mutable_evaluation()->set_is_best(true);
  pool_->Say(message);
  Save(assigned, 10, /*is_best=*/true);
  EXPECT_EQ(Get(job).progress().step(), 7);
  EXPECT_EQ(Get(job).best_checkpoint(), job + "/checkpoints/10");

  worker::v1::Finished finished;
  finished.set_best_step(10);
  (*finished.mutable_test_evaluation()->mutable_values())["accuracy"] = 0.75;
  finished.mutable_test_evaluation()->set_split("test");
  pool_->End(AttemptOf(assigned), finished);
  WaitForState(job, State::STATE_SUCCEEDED);

  v1::FineTuningJob done = Get(job);
  EXPECT_EQ(done.test_evaluation().values().at("accuracy"), 0.75);
  EXPECT_EQ(done.progress().eta_seconds(), 0);
  EXPECT_TRUE(done.has_start_time());
  EXPECT_TRUE(done.has_end_time());
  EXPECT_FALSE(done.has_error());
  EXPECT_THAT(States(job), ElementsAre("QUEUED", "PREPARING", "RUNNING", "SUCCEEDED"));
  std::vector<v1::JobEvent> events = Events(job);
  std::vector<int> kinds;
  for (const v1::JobEvent& event : events) kinds.push_back(event.payload_case());
  using E = v1::JobEvent;
  EXPECT_THAT(kinds, ElementsAre(E::kStateChanged, E::PAYLOAD_NOT_SET, E::kStateChanged, E::kStateChanged, E::kPhaseStarted, E::kMetrics, E::kLogLine,
                                 E::kEvaluation, E::kCheckpointSaved, E::kEvaluation, E::kStateChanged));
  EXPECT_TRUE(events.back().state_changed().terminal());
  EXPECT_EQ(events[5].attempt(), 1);
  EXPECT_EQ(scheduler_->Counts().running, 0);
}

TEST_F(RunTest, TheNextJobStartsWhenASlotIsFree) {
  worker::v1::Assign first = Run();
  pool_->SetStatus({.idle = 1});
  std::string second = Create()->name();
  Settle();
  EXPECT_EQ(Get(second).state(), State::STATE_QUEUED);
  EXPECT_THAT(Get(second).state_reason(), HasSubstr("running job to end"));
  EXPECT_EQ(pool_->assignments(), 1u);
  Save(first, 1);
  Finish(first, 1);
  EXPECT_EQ(pool_->WaitForAssign(2).fence().job(), second);
}

TEST_F(RunTest, SeveralSlotsRunSeveralJobs) {
  Stop();
  Start({.job_slots = 2});
  pool_->SetStatus({.idle = 3});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Create().ok());
  pool_->WaitForAssign(2);
  Settle();
  EXPECT_EQ(pool_->assignments(), 2u);
  EXPECT_EQ(scheduler_->Counts().running, 2);
  EXPECT_EQ(scheduler_->Counts().queued, 1);
}

TEST_F(RunTest, ALostWorkersJobGoesOnFromItsLastCheckpoint) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  Save(assigned, 20);
  Lose(assigned);
  v1::JobEvent lost = WaitForState(job, State::STATE_QUEUED, 2);
  EXPECT_EQ(lost.level(), v1::JobEvent::LEVEL_ERROR);
  EXPECT_THAT(lost.state_changed().reason(), HasSubstr("signal 9"));
  EXPECT_THAT(lost.state_changed().reason(), HasSubstr("step 20"));
  WaitForEvent(job, [](const v1::JobEvent& event) { return event.log_line().text() == "words"; });
  worker::v1::Assign second = pool_->WaitForAssign(2);
  EXPECT_EQ(second.fence().attempt(), 2);
  EXPECT_EQ(second.resume_dir(), CheckpointPath(job, 20));
  SayStarted(second, 20);
  EXPECT_THAT(WaitForState(job, State::STATE_RUNNING, 2).state_changed().reason(), HasSubstr("from step 20"));
  Save(second, 30);
  Finish(second, 30);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_EQ(Get(job).attempt(), 2);
}

TEST_F(RunTest, ThreeLostAttemptsWithoutProgressFailTheJob) {
  std::string job = Create(WithoutRetries())->name();
  for (size_t n = 1; n <= 3; ++n) {
    worker::v1::Assign assigned = pool_->WaitForAssign(n);
    SayStarted(assigned);
    Lose(assigned);
  }
  WaitForState(job, State::STATE_FAILED);
  v1::FailureInfo info;
  ASSERT_TRUE(Get(job).error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), v1::FailureInfo::CATEGORY_SYSTEM);
  EXPECT_TRUE(info.retryable());
  EXPECT_THAT(info.log_tail(), ElementsAre("last", "words"));
  EXPECT_THAT(Get(job).error().message(), HasSubstr("signal 9"));
  EXPECT_EQ(pool_->assignments(), 3u);
}

TEST_F(RunTest, ANewCheckpointIsProgressAndClearsTheCount) {
  std::string job = Create(WithoutRetries())->name();
  for (size_t n = 1; n <= 4; ++n) {
    worker::v1::Assign assigned = pool_->WaitForAssign(n);
    SayStarted(assigned);
    if (n <= 2) Save(assigned, static_cast<int64_t>(n) * 10);
    if (n == 4) SayCheckpoint(assigned, 20);  // one that is there already is no progress
    Lose(assigned);
    if (n < 4) WaitForState(job, State::STATE_QUEUED, static_cast<int>(n) + 1);
  }
  WaitForState(job, State::STATE_FAILED);  // 1 and 2 made progress; 2, 3 and 4 were lost in a row after it
  EXPECT_EQ(Get(job).attempt(), 4);
}

TEST_F(RunTest, LateMessagesAreFenced) {
  worker::v1::Assign first = Run();
  const std::string job = first.fence().job();
  Lose(first);
  worker::v1::Assign second = pool_->WaitForAssign(2);
  // A worker that was given up speaks again.
  SayMetrics(first, 99);
  WriteCheckpointFiles(CheckpointPath(job, 99), 99);
  SayCheckpoint(first, 99);
  Finish(first, 99);
  pool_->End({"fineTuningJobs/unknown", 1}, worker::v1::Finished());
  SayStarted(second);
  WaitForState(job, State::STATE_RUNNING, 2);
  Save(second, 5);
  Finish(second, 5);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(5));
  for (const v1::JobEvent& event : Events(job)) EXPECT_NE(event.metrics().step(), 99);
}

TEST_F(RunTest, AFailureSaysWhoseFaultItIs) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  worker::v1::Failed failed;
  failed.set_category(v1::FailureInfo::CATEGORY_USER);
  failed.set_code(3);
  failed.set_message("the loss became NaN at step 12; use a smaller learning_rate");
  failed.set_step(12);
  pool_->End(AttemptOf(assigned), failed, {"tail"});
  v1::JobEvent event = WaitForState(job, State::STATE_FAILED);
  EXPECT_EQ(event.level(), v1::JobEvent::LEVEL_ERROR);
  v1::FineTuningJob done = Get(job);
  EXPECT_EQ(done.error().code(), 3);
  EXPECT_THAT(done.error().message(), HasSubstr("step 12"));
  v1::FailureInfo info;
  ASSERT_TRUE(done.error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), v1::FailureInfo::CATEGORY_USER);
  EXPECT_EQ(info.step(), 12);
  EXPECT_THAT(info.log_tail(), ElementsAre("tail"));
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(10)) << "the last good checkpoint stays";
}

TEST_F(RunTest, AJobWithoutAnyUsableCheckpointHasNotSucceeded) {
  worker::v1::Assign assigned = Run(1, WithoutRetries());
  SayCheckpoint(assigned, 10);  // says so, but the files are not there
  Finish(assigned, 10);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
  WaitForEvent(assigned.fence().job(), [](const v1::JobEvent& event) {
    return event.level() == v1::JobEvent::LEVEL_WARNING && event.message().find("step 10 cannot be used") != std::string::npos;
  });
}

TEST_F(RunTest, AMissingModelFailsTheJobAsData) {
  models_.FailDirectory(absl::NotFoundError("models/mini is gone"));
  std::string job = Create()->name();
  WaitForState(job, State::STATE_FAILED);
  v1::FailureInfo info;
  ASSERT_TRUE(Get(job).error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), v1::FailureInfo::CATEGORY_DATA);
}

TEST_F(RunTest, AFullDiskFailsTheJobAsResource) {
  files_.Inject({.op = FileOp::kCreateDirectories, .path_contains = "/checkpoints", .status = absl::ResourceExhaustedError("No space left on device")});
  std::string job = Create(WithoutRetries())->name();
  WaitForState(job, State::STATE_FAILED);
  v1::FailureInfo info;
  ASSERT_TRUE(Get(job).error().details(0).UnpackTo(&info));
  EXPECT_EQ(info.category(), v1::FailureInfo::CATEGORY_RESOURCE);
  EXPECT_THAT(Get(job).error().message(), HasSubstr("space"));
}

TEST_F(RunTest, AWorkerThatVanishesBeforeTheAssignmentCostsNoAttempt) {
  pool_->RefuseAssignments(true);
  std::string job = Create()->name();
  WaitForState(job, State::STATE_QUEUED, 2);
  pool_->RefuseAssignments(false);
  pool_->SetStatus({.idle = 1});
  EXPECT_EQ(pool_->WaitForAssign(1).fence().attempt(), 1);
}

TEST_F(RunTest, CancelWhileQueued) {
  pool_->SetStatus({.idle = 0});
  std::string job = Create()->name();
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLED);
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLED) << "again changes nothing";
  EXPECT_THAT(States(job), ElementsAre("QUEUED", "CANCELLED"));
  EXPECT_TRUE(Get(job).has_end_time());
}

TEST_F(RunTest, CancelWhilePreparing) {
  ASSERT_TRUE(Create().ok());
  worker::v1::Assign assigned = pool_->WaitForAssign(1);
  const std::string job = assigned.fence().job();
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLING);
  EXPECT_EQ(Cancel(job)->state(), State::STATE_CANCELLING);
  EXPECT_EQ(pool_->WaitForCancel(), AttemptOf(assigned));
  SayStarted(assigned);  // crossed the cancellation
  Finish(assigned, 0, /*cancelled=*/true);
  WaitForState(job, State::STATE_CANCELLED);
  EXPECT_THAT(States(job), ElementsAre("QUEUED", "PREPARING", "CANCELLING", "CANCELLED"));
}

TEST_F(RunTest, CancelWhileRunningKeepsCheckpoints) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10);
  ASSERT_TRUE(Cancel(job).ok());
  Save(assigned, 13);  // the worker's last one
  Finish(assigned, 0, /*cancelled=*/true);
  WaitForState(job, State::STATE_CANCELLED);
  EXPECT_THAT(CheckpointSteps(job), ElementsAre(13, 10));
}

TEST_F(RunTest, AJobThatFinishesBeforeTheCancellationReachesItHasSucceeded) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  ASSERT_TRUE(Cancel(assigned.fence().job()).ok());
  Finish(assigned, 10);
  WaitForState(assigned.fence().job(), State::STATE_SUCCEEDED);
  EXPECT_EQ(Cancel(assigned.fence().job()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RunTest, AWorkerLostWhileCancellingIsACancellation) {
  worker::v1::Assign assigned = Run();
  ASSERT_TRUE(Cancel(assigned.fence().job()).ok());
  Lose(assigned);
  WaitForState(assigned.fence().job(), State::STATE_CANCELLED);
}

TEST_F(RunTest, AFailureWhileCancellingIsAFailure) {
  worker::v1::Assign assigned = Run();
  ASSERT_TRUE(Cancel(assigned.fence().job()).ok());
  worker::v1::Failed failed;
  failed.set_message("x");
  pool_->End(AttemptOf(assigned), failed);
  WaitForState(assigned.fence().job(), State::STATE_FAILED);
  EXPECT_THAT(std::string(Cancel(assigned.fence().job()).status().message()), HasSubstr("FAILED"));
}

TEST_F(RunTest, AWorkerThatStopsUnaskedCountsAsLost) {
  worker::v1::Assign assigned = Run();
  Finish(assigned, 0, /*cancelled=*/true);
  EXPECT_THAT(WaitForState(assigned.fence().job(), State::STATE_QUEUED, 2).state_changed().reason(), HasSubstr("nobody asked"));
}

TEST_F(RunTest, DrainHandsRunningJobsBackAndAdmitsNothing) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  std::thread draining([&] { scheduler_->Drain(); });
  EXPECT_EQ(pool_->WaitForSuspend(), AttemptOf(assigned));
  EXPECT_EQ(Create().status().code(), absl::StatusCode::kUnavailable);
  Save(assigned, 12);
  pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kClean, "exited"});
  draining.join();
  EXPECT_EQ(Get(job).state(), State::STATE_QUEUED);
  EXPECT_THAT(Get(job).state_reason(), HasSubstr("step 12"));
  EXPECT_EQ(pool_->assignments(), 1u);
  EXPECT_EQ(store_.LoadJobs()->at(0).lost_attempts, 0);
  Crash();
  EXPECT_EQ(pool_->WaitForAssign(1).resume_dir(), CheckpointPath(job, 12));
}

TEST_F(RunTest, DrainKillsWhatDoesNotStopInTime) {
  Stop();
  Start({.drain_grace = absl::ZeroDuration()});
  worker::v1::Assign assigned = Run();
  std::thread draining([&] { scheduler_->Drain(); });
  EXPECT_EQ(pool_->WaitForKill(), AttemptOf(assigned));
  Lose(assigned);
  draining.join();
  EXPECT_EQ(Get(assigned.fence().job()).state(), State::STATE_QUEUED);
}

TEST_F(RunTest, PredictsWithTheBestCheckpoint) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  v1::PredictRequest request;
  request.set_checkpoint(job);
  EXPECT_EQ(Predict(request).status().code(), absl::StatusCode::kInvalidArgument) << "no inputs";
  request.add_inputs()->set_text("hello");
  EXPECT_EQ(Predict(request).status().code(), absl::StatusCode::kNotFound) << "no checkpoint yet";
  Save(assigned, 10, /*is_best=*/true);
  Save(assigned, 20);
  EXPECT_EQ(Predict(request)->checkpoint(), job + "/checkpoints/10");
  EXPECT_EQ(Predict(request)->predictions(0).labels(0), CheckpointPath(job, 10));
  request.set_checkpoint(job + "/checkpoints/last");
  EXPECT_EQ(Predict(request)->checkpoint(), job + "/checkpoints/20");
  request.add_inputs();
  EXPECT_THAT(std::string(Predict(request).status().message()), HasSubstr("inputs[1].text"));
  for (int i = 0; i < 300; ++i) request.add_inputs()->set_text("x");
  EXPECT_THAT(std::string(Predict(request).status().message()), HasSubstr("256"));
}

TEST_F(RunTest, PredictsForImagesWithAModelOfImages) {
  worker::v1::Assign assigned = Run(1, ImageRequest());
  const std::string job = assigned.fence().job();
  Save(assigned, 10, /*is_best=*/true);
  v1::PredictRequest request;
  request.set_checkpoint(job);
  request.add_images("first");
  request.add_images("second");
  absl::StatusOr<v1::PredictResponse> response = Predict(request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->predictions_size(), 2);
  EXPECT_EQ(response->predictions(0).labels(0), CheckpointPath(job, 10));
  EXPECT_EQ(response->predictions(1).labels(1), "second");
  request.clear_images();
  request.add_inputs()->set_text("hello");
  absl::Status refused = Predict(request).status();
  EXPECT_EQ(jobs::ViolationsOf(refused).at(0).field, "inputs");
  EXPECT_THAT(std::string(refused.message()), HasSubstr(job + " learnt from images; send image files in images"));
}

TEST_F(RunTest, ImagesAreNotForAModelOfTexts) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  v1::PredictRequest request;
  request.set_checkpoint(assigned.fence().job());
  request.add_images("image");
  absl::Status refused = Predict(request).status();
  EXPECT_EQ(jobs::ViolationsOf(refused).at(0).field, "images");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("learnt from texts; send texts in inputs"));
}

TEST_F(RunTest, AttemptsAreToldWhereOutputsOfFrozenLayersAreKept) {
  EXPECT_EQ(Run().feature_cache_dir(), "") << "off unless it is asked for";
  EXPECT_EQ(pool_->WaitForAssign(1).feature_cache_bytes(), 0);
  Stop();
  Start({.feature_cache_bytes = 1000});
  worker::v1::Assign assigned = pool_->WaitForAssign(1);
  EXPECT_EQ(assigned.feature_cache_dir(), directory_.path() + "/feature-cache/default") << "its project's own";
  EXPECT_TRUE(FileExists(assigned.feature_cache_dir()));
  EXPECT_EQ(assigned.feature_cache_bytes(), 1000);
}

TEST_F(RunTest, PredictionErrorsReachTheCaller) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  pool_->FailPredictions(absl::UnavailableError("the worker was lost"));
  v1::PredictRequest request;
  request.set_checkpoint(assigned.fence().job());
  request.add_inputs()->set_text("hello");
  EXPECT_EQ(Predict(request).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::scheduler
