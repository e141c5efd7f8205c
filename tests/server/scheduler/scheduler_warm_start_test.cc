// Jobs that begin with another one's checkpoint: what their attempts get, and for how long the checkpoint is kept.
#include "gmock/gmock.h"
#include "server/jobs/violations.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WarmStartTest : public SchedulerFixture {
 protected:
  void WriteResumable(const std::string& job, int64_t step, int phase = 1) {
    WriteCheckpointFiles(CheckpointPath(job, step), step);
    std::ofstream(CheckpointPath(job, step) + "/training_state.json") << "{\"phase\": " << phase << "}";
  }
  // A job that has ended, with checkpoints at 10 (the best), 20 and 30 in its second phase.
  std::string Source(size_t n = 1) {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_checkpointing()->set_keep_last(1);
    const worker::v1::Assign assigned = Run(n, request);
    const std::string job = assigned.fence().job();
    for (int64_t step : {10, 20, 30}) {
      WriteResumable(job, step);
      SayCheckpoint(assigned, step, /*is_best=*/step == 10);
      WaitForCheckpoint(job, step);
    }
    Finish(assigned, 10);
    WaitForState(job, State::STATE_SUCCEEDED);
    return job;
  }
  static v1::CreateFineTuningJobRequest From(const std::string& checkpoint, v1::WarmStart::Part part) {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_warm_start()->set_checkpoint(checkpoint);
    request.mutable_spec()->mutable_warm_start()->set_part(part);
    return request;
  }
};

TEST_F(WarmStartTest, WithWeightsTheFirstAttemptGetsThemAndTheNextItsOwn) {
  const std::string source = Source();
  const absl::StatusOr<v1::FineTuningJob> job = Create(From(source, v1::WarmStart::PART_UNSPECIFIED));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->effective_spec().warm_start().checkpoint(), source + "/checkpoints/10") << "a job alone is its best";
  EXPECT_EQ(job->effective_spec().warm_start().part(), v1::WarmStart::PART_WEIGHTS);
  EXPECT_EQ(job->spec().warm_start().checkpoint(), source) << "as asked for";
  EXPECT_EQ(job->progress().step(), 0);
  worker::v1::Assign assigned = pool_->WaitForAssign(2);
  EXPECT_EQ(assigned.warm_start_dir(), CheckpointPath(source, 10));
  EXPECT_EQ(assigned.resume_dir(), "");
  SayStarted(assigned);
  Lose(assigned);
  assigned = pool_->WaitForAssign(3);
  EXPECT_EQ(assigned.warm_start_dir(), CheckpointPath(source, 10)) << "nothing was saved";
  SayStarted(assigned);
  Save(assigned, 5);
  Lose(assigned);
  assigned = pool_->WaitForAssign(4);
  EXPECT_EQ(assigned.warm_start_dir(), "");
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(job->name(), 5));
}

TEST_F(WarmStartTest, AdaptersKnowWhereTheyBeganInEveryAttempt) {
  const std::string source = Source();
  v1::CreateFineTuningJobRequest request = From(source + "/checkpoints/last", v1::WarmStart::PART_WEIGHTS);
  request.mutable_spec()->mutable_hyperparameters()->set_l2_sp(0.1);
  const absl::StatusOr<v1::FineTuningJob> job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  worker::v1::Assign assigned = pool_->WaitForAssign(2);
  SayStarted(assigned);
  Save(assigned, 5);
  Lose(assigned);
  assigned = pool_->WaitForAssign(3);
  EXPECT_EQ(assigned.warm_start_dir(), CheckpointPath(source, 30));
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(job->name(), 5));
}

TEST_F(WarmStartTest, WithAllOfItTheJobGoesOnAfterTheCheckpointsStep) {
  const std::string source = Source();
  const absl::StatusOr<v1::FineTuningJob> job = Create(From(source + "/checkpoints/20", v1::WarmStart::PART_ALL));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->progress().step(), 20);
  worker::v1::Assign assigned = pool_->WaitForAssign(2);
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(source, 20));
  EXPECT_EQ(assigned.warm_start_dir(), "");
  SayStarted(assigned, 20);
  Lose(assigned);
  EXPECT_THAT(WaitForState(job->name(), State::STATE_QUEUED, 2).message(), HasSubstr("it goes on from " + source + "/checkpoints/20"));
  assigned = pool_->WaitForAssign(3);
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(source, 20));
  SayStarted(assigned, 20);
  Save(assigned, 25);
  Lose(assigned);
  assigned = pool_->WaitForAssign(4);
  EXPECT_EQ(assigned.resume_dir(), CheckpointPath(job->name(), 25)) << "once it has its own, those count";
}

TEST_F(WarmStartTest, TheCheckpointIsKeptUntilTheJobHasEnded) {
  Stop();
  Start({.job_slots = 2});
  pool_->SetStatus({.idle = 2});
  v1::CreateFineTuningJobRequest keep_one = Request();
  keep_one.mutable_spec()->mutable_checkpointing()->set_keep_last(1);
  const worker::v1::Assign source = Run(1, keep_one);
  const std::string from = source.fence().job();
  Save(source, 10);
  const absl::StatusOr<v1::FineTuningJob> job = Create(From(from + "/checkpoints/10", v1::WarmStart::PART_WEIGHTS));
  ASSERT_TRUE(job.ok()) << job.status();
  for (int64_t step = 20; step <= 40; step += 10) Save(source, step);
  while (store_.LoadCheckpoints()->size() != 3) {
    Settle();
    ASSERT_TRUE(events_->Flush().ok());
  }
  EXPECT_THAT(CheckpointSteps(from), ElementsAre(40, 30, 10)) << "retention passes it by";
  const absl::Status one = DeleteCheckpoint(from + "/checkpoints/10");
  EXPECT_EQ(one.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(one.message()), HasSubstr("is what " + job->name() + " begins with; wait for that job's end, or cancel it"));
  Finish(source, 40);
  WaitForState(from, State::STATE_SUCCEEDED);
  const absl::Status all = Delete(from);
  EXPECT_EQ(all.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(all.message()), HasSubstr("its checkpoint at step 10 is what " + job->name() + " begins with"));
  Crash({.job_slots = 2});
  EXPECT_EQ(Delete(from).code(), absl::StatusCode::kFailedPrecondition) << "durable";
  const worker::v1::Assign assigned = pool_->WaitForAssign(1);
  EXPECT_EQ(assigned.warm_start_dir(), CheckpointPath(from, 10));
  ASSERT_TRUE(Cancel(job->name()).ok());
  Finish(assigned, 0, /*cancelled=*/true);
  WaitForState(job->name(), State::STATE_CANCELLED);
  while (store_.LoadCheckpoints()->size() != 2) {
    Settle();
    ASSERT_TRUE(events_->Flush().ok());
  }
  EXPECT_THAT(CheckpointSteps(from), ElementsAre(40, 30)) << "retention has caught up";
  EXPECT_TRUE(Delete(from).ok());
}

TEST_F(WarmStartTest, FaultsAreToldByField) {
  const std::string source = Source();
  v1::CreateFineTuningJobRequest request = From(source, v1::WarmStart::PART_ALL);
  request.mutable_spec()->set_seed(7);
  const absl::Status seed = Create(request).status();
  ASSERT_EQ(jobs::ViolationsOf(seed).size(), 1u) << seed;
  EXPECT_EQ(jobs::ViolationsOf(seed)[0].field, "spec.seed");
  request = From("fineTuningJobs/nobody", v1::WarmStart::PART_WEIGHTS);
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Create(request).status().message()), HasSubstr("spec.warm_start.checkpoint: fineTuningJobs/nobody does not exist"));
  request = From(source + "/checkpoints/15", v1::WarmStart::PART_WEIGHTS);
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kNotFound);
  request = From("nonsense/checkpoints/1", v1::WarmStart::PART_WEIGHTS);
  EXPECT_EQ(jobs::ViolationsOf(Create(request).status()).at(0).field, "spec.warm_start.checkpoint");
  std::filesystem::remove(CheckpointPath(source, 20) + "/training_state.json");
  request = From(source + "/checkpoints/20", v1::WarmStart::PART_ALL);
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kDataLoss);
  request.mutable_spec()->mutable_warm_start()->set_part(v1::WarmStart::PART_WEIGHTS);
  request.set_validate_only(true);
  EXPECT_TRUE(Create(request).ok());
  EXPECT_TRUE(Delete(source).ok()) << "a check alone holds nothing";
}

TEST_F(WarmStartTest, ADamagedStartIsTriedAgainAndThenFails) {
  const std::string source = Source();
  pool_->SetStatus({.idle = 0});
  v1::CreateFineTuningJobRequest request = From(source, v1::WarmStart::PART_WEIGHTS);
  *request.mutable_spec()->mutable_scheduling() = WithoutRetries().spec().scheduling();
  const std::string job = Create(request)->name();
  std::ofstream(CheckpointPath(source, 10) + "/optimizer.safetensors") << "m0ments";
  pool_->SetStatus({.idle = 1});
  WaitForState(job, State::STATE_FAILED);
  EXPECT_THAT(Get(job).error().message(), HasSubstr(source + "/checkpoints/10, which it begins with, is damaged: optimizer.safetensors"));
}

TEST_F(WarmStartTest, ChangesOfTheOtherJobsPastComeAlong) {
  const std::string source = Source();
  std::vector<jobs::Job> stored = store_.LoadJobs().value();
  for (int64_t step : {-1, 5, 20, 21}) stored[0].resource.add_adjustments()->set_after_step(step);
  ASSERT_TRUE(store_.Commit({jobs::PutJob{stored[0]}}).ok());
  Crash();
  const absl::StatusOr<v1::FineTuningJob> job = Create(From(source + "/checkpoints/20", v1::WarmStart::PART_ALL));
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_EQ(job->adjustments_size(), 2);
  EXPECT_EQ(job->adjustments(0).after_step(), 5);
  EXPECT_EQ(job->adjustments(1).after_step(), 20);
}

}  // namespace
}  // namespace attune::scheduler
