// Changes of jobs that train, by their owners and by want of memory: as clients and workers see them.
#include "gmock/gmock.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdjustTest : public SchedulerFixture {
 protected:
  absl::StatusOr<v1::FineTuningJob> Update(const std::string& job, const v1::LiveSettings& settings, const std::vector<std::string>& fields) {
    v1::UpdateFineTuningJobRequest request;
    request.mutable_fine_tuning_job()->set_name(job);
    *request.mutable_fine_tuning_job()->mutable_live_settings() = settings;
    for (const std::string& field : fields) request.mutable_update_mask()->add_paths("live_settings." + field);
    Waiter<absl::StatusOr<v1::FineTuningJob>> waiter;
    scheduler_->UpdateJob(std::move(request), [&](auto changed) { waiter.result = std::move(changed); waiter.there.Notify(); });
    return waiter.Wait();
  }
  absl::StatusOr<v1::FineTuningJob> Scale(const std::string& job, double scale) { return Update(job, Rate(scale), {"learning_rate_scale"}); }
  static v1::LiveSettings Rate(double scale) {
    v1::LiveSettings settings;
    settings.set_learning_rate_scale(scale);
    return settings;
  }
  // As the worker would once the change has taken effect.
  void SayAdjusted(const worker::v1::Assign& assigned, int64_t after_step, const v1::LiveSettings& settings) {
    worker::v1::ConnectRequest message;
    *message.mutable_fence() = assigned.fence();
    message.mutable_adjusted()->set_after_step(after_step);
    *message.mutable_adjusted()->mutable_live_settings() = settings;
    pool_->Say(std::move(message));
  }
  void SayDivided(const worker::v1::Assign& assigned, int64_t after_step, int parts) {
    worker::v1::ConnectRequest message;
    *message.mutable_fence() = assigned.fence();
    message.mutable_adjusted()->set_after_step(after_step);
    message.mutable_adjusted()->set_batch_parts(parts);
    pool_->Say(std::move(message));
  }
  std::vector<std::string> Lines(const std::string& job) {
    std::vector<std::string> lines;
    for (const v1::JobEvent& event : Events(job)) lines.push_back(event.has_log_line() ? event.log_line().text() : event.message());
    return lines;
  }
  static std::vector<int64_t> Steps(const google::protobuf::RepeatedPtrField<v1::Adjustment>& adjustments) {
    std::vector<int64_t> steps;
    for (const v1::Adjustment& adjustment : adjustments) steps.push_back(adjustment.after_step());
    return steps;
  }
};

TEST_F(AdjustTest, AChangeReachesTheWorkerAndIsRepeatedByTheNextAttempt) {
  const worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  const absl::StatusOr<v1::FineTuningJob> changed = Scale(job, 0.5);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(changed->live_settings().learning_rate_scale(), 0.5);
  EXPECT_THAT(Steps(changed->adjustments()), ElementsAre(-1)) << "it waits for the worker";
  ASSERT_EQ(pool_->adjusted().size(), 1u);
  EXPECT_EQ(pool_->adjusted()[0].first, AttemptOf(assigned));
  EXPECT_EQ(pool_->adjusted()[0].second.learning_rate_scale(), 0.5);
  SayAdjusted(assigned, 12, Rate(0.5));
  Settle();
  EXPECT_THAT(Steps(Get(job).adjustments()), ElementsAre(12));
  EXPECT_THAT(Lines(job), Contains("after step 12: learning rates x 0.5"));
  pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kCrashed, "x"});
  const worker::v1::Assign again = pool_->WaitForAssign(2);
  EXPECT_THAT(Steps(again.adjustments()), ElementsAre(12));
}

TEST_F(AdjustTest, WhatTheWorkerDidNotReportWaitsForTheNext) {
  const worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  ASSERT_TRUE(Scale(job, 0.5).ok());
  ASSERT_TRUE(Scale(job, 0.25).ok());
  SayAdjusted(assigned, 12, Rate(0.5));  // the second one is still on its way
  Settle();
  EXPECT_THAT(Steps(Get(job).adjustments()), ElementsAre(12, -1));
  Crash();
  const worker::v1::Assign again = pool_->WaitForAssign(1);
  ASSERT_EQ(again.adjustments_size(), 2) << "durable";
  EXPECT_EQ(again.adjustments(1).live_settings().learning_rate_scale(), 0.25);
}

TEST_F(AdjustTest, AWaitingJobBeginsWithIt) {
  pool_->SetStatus({.idle = 0});
  const std::string job = Create()->name();
  v1::LiveSettings settings;
  settings.set_n_epochs(7);
  settings.set_early_stopping_patience(2);
  ASSERT_TRUE(Update(job, settings, {"n_epochs", "early_stopping_patience"}).ok());
  ASSERT_TRUE(Update(job, {}, {"early_stopping_patience"}).ok()) << "taken back";
  EXPECT_THAT(pool_->adjusted(), IsEmpty());
  pool_->SetStatus({.idle = 1});
  const worker::v1::Assign assigned = pool_->WaitForAssign(1);
  ASSERT_EQ(assigned.adjustments_size(), 1);
  EXPECT_EQ(assigned.adjustments(0).live_settings().n_epochs(), 7);
  EXPECT_FALSE(assigned.adjustments(0).live_settings().has_early_stopping_patience());
}

TEST_F(AdjustTest, ThoseThatCameTooLateAreDropped) {
  const worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 9);
  ASSERT_TRUE(Scale(job, 2).ok());
  Finish(assigned, 9);
  WaitForState(job, State::STATE_SUCCEEDED);
  EXPECT_THAT(Steps(Get(job).adjustments()), IsEmpty());
  EXPECT_EQ(Scale(job, 3).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AdjustTest, BadSettingsAreRefused) {
  const std::string job = Run().fence().job();
  for (const double scale : {0.0, -1.0, 1001.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(std::string(Scale(job, scale).status().message()), HasSubstr("must be over 0 to 1000")) << scale;
  }
  v1::LiveSettings settings;
  settings.set_n_epochs(0);
  settings.set_early_stopping_patience(-1);
  EXPECT_THAT(std::string(Update(job, settings, {"n_epochs"}).status().message()), HasSubstr("must be 1 to 1000, not 0"));
  EXPECT_THAT(std::string(Update(job, settings, {"early_stopping_patience"}).status().message()), HasSubstr("must be at least 0"));
  EXPECT_THAT(std::string(Update(job, settings, {"learning_rate"}).status().message()), HasSubstr("did you mean live_settings.learning_rate_scale?"));
  EXPECT_THAT(Steps(Get(job).adjustments()), IsEmpty());
  EXPECT_THAT(pool_->adjusted(), IsEmpty());
}

TEST_F(AdjustTest, OnlyWhatEndsByEpochsHasEpochs) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->add_phases()->set_max_steps(10);
  const worker::v1::Assign assigned = Run(1, request);
  v1::LiveSettings settings;
  settings.set_n_epochs(5);
  const absl::Status status = Update(assigned.fence().job(), settings, {"n_epochs"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not end by epochs"));
}

TEST_F(AdjustTest, ARangeTestSetsItsOwnRates) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_lr_range_test();
  const worker::v1::Assign assigned = Run(1, request);
  EXPECT_EQ(Scale(assigned.fence().job(), 2).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AdjustTest, ADividedBatchIsAnEventAndStaysDivided) {
  const worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  SayDivided(assigned, 3, 2);
  Settle();
  bool warned = false;
  for (const v1::JobEvent& event : Events(job)) {
    warned = warned || (event.level() == v1::JobEvent::LEVEL_WARNING && event.message().find("after step 3: memory ran out; batches go through the model in 2 parts") == 0);
  }
  EXPECT_TRUE(warned);
  pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kCrashed, "x"});
  EXPECT_EQ(pool_->WaitForAssign(2).adjustments(0).batch_parts(), 2);
}

// The kernel leaves the engine no chance to do with less; the next attempt does, and none counts as lost.
TEST_F(AdjustTest, AnAttemptThatWasKilledForWantOfMemoryGoesOnInMoreParts) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_hyperparameters()->set_batch_size(16);
  request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_backoff_seconds(0);
  worker::v1::Assign assigned = Run(1, request);
  const std::string job = assigned.fence().job();
  for (int parts = 2; parts <= 16; parts *= 2) {
    pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kOutOfMemory, "memory ran out"});
    assigned = pool_->WaitForAssign(static_cast<size_t>(assigned.fence().attempt()) + 1);
    ASSERT_GE(assigned.adjustments_size(), 1);
    const v1::Adjustment& last = *assigned.adjustments().rbegin();
    EXPECT_EQ(last.batch_parts(), parts);
    EXPECT_EQ(last.after_step(), -1);
    SayStarted(assigned);
    SayDivided(assigned, 0, parts);
  }
  for (int lost = 0; lost < 3; ++lost) {
    pool_->End(AttemptOf(assigned), workers::WorkerLost{workers::ExitReason::kOutOfMemory, "memory ran out"});
    if (lost < 2) assigned = pool_->WaitForAssign(static_cast<size_t>(assigned.fence().attempt()) + 1);
  }
  WaitForState(job, State::STATE_FAILED);
}

}  // namespace
}  // namespace attune::scheduler
