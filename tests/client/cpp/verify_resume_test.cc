#include "client/cpp/verify_resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/cpp/scripted_replay.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VerifyResumeTest : public ::testing::Test {
 protected:
  absl::StatusOr<ResumeProof> Verify(int64_t from = -1) { return VerifyResume(*client_, kReplayedJob, {.from_step = from}); }

  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
};

TEST_F(VerifyResumeTest, TrainsTheLastWayAgainAndRemovesTheHelper) {
  ScriptReplay(server_, 30);
  int64_t told = 0;
  const absl::StatusOr<ResumeProof> proof = VerifyResume(*client_, kReplayedJob, {.on_start = [&](const v1::FineTuningJob& helper, int64_t from, int64_t to) {
                                                           EXPECT_EQ(helper.name(), kHelperJob);
                                                           told = from * 100 + to;
                                                         }});
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_TRUE(proof->equal());
  EXPECT_EQ(told, 2030);
  EXPECT_EQ(proof->from, "fineTuningJobs/j1/checkpoints/20");
  EXPECT_EQ(proof->to, "fineTuningJobs/j1/checkpoints/30");
  ASSERT_EQ(proof->files.size(), 3u);
  EXPECT_EQ(proof->files[0].path, "model.safetensors");
  const v1::FineTuningSpec& spec = server_.jobs.created.at(0).spec();
  EXPECT_EQ(spec.seed(), 3u) << "everything of the effective spec";
  EXPECT_EQ(spec.warm_start().checkpoint(), "fineTuningJobs/j1/checkpoints/20");
  EXPECT_EQ(spec.warm_start().part(), v1::WarmStart::PART_ALL);
  EXPECT_EQ(spec.checkpointing().save_steps(), 30);
  EXPECT_EQ(spec.scheduling().max_run_seconds(), 0);
  EXPECT_THAT(server_.jobs.cancelled, ElementsAre(kHelperJob));
  EXPECT_THAT(server_.jobs.deleted, ElementsAre(kHelperJob));
}

TEST_F(VerifyResumeTest, FromAnyCheckpointToTheNext) {
  ScriptReplay(server_, 20);
  const absl::StatusOr<ResumeProof> proof = Verify(10);
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_TRUE(proof->equal());
  EXPECT_EQ(proof->to, "fineTuningJobs/j1/checkpoints/20");
  EXPECT_EQ(server_.jobs.created.at(0).spec().checkpointing().save_steps(), 20);
}

TEST_F(VerifyResumeTest, OtherBytesAreTold) {
  ScriptReplay(server_, 30, "of another run");
  server_.checkpoints.by_name["fineTuningJobs/j9/checkpoints/30"].mutable_files()->RemoveLast();
  const absl::StatusOr<ResumeProof> proof = Verify();
  ASSERT_TRUE(proof.ok()) << proof.status();
  EXPECT_FALSE(proof->equal());
  EXPECT_FALSE(proof->files[0].equal());
  EXPECT_TRUE(proof->files[1].equal());
  EXPECT_FALSE(proof->files[2].equal()) << "one that is missing is not equal";
  EXPECT_THAT(server_.jobs.deleted, ElementsAre(kHelperJob));
}

TEST_F(VerifyResumeTest, AHelperThatEndsEarlyIsAnErrorAndIsRemoved) {
  ScriptReplay(server_, 30);
  server_.jobs.streams = {{{SavedEvent(1, 25), EndEvent(2, "FAILED: out of disk")}}, {{SavedEvent(1, 25), EndEvent(2, "FAILED: out of disk")}}};
  server_.jobs.cancel.Fail(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "has ended"));
  const absl::Status status = Verify().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ended without a checkpoint at step 30: FAILED: out of disk"));
  EXPECT_THAT(server_.jobs.deleted, ElementsAre(kHelperJob));
}

TEST_F(VerifyResumeTest, WhatCannotBeComparedMakesNoJob) {
  ScriptReplay(server_, 30);
  EXPECT_THAT(std::string(Verify(30).status().message()), HasSubstr("is the last checkpoint; begin with an earlier one"));
  EXPECT_EQ(Verify(15).status().code(), absl::StatusCode::kNotFound);
  server_.jobs.jobs[kReplayedJob].add_adjustments()->set_after_step(25);
  EXPECT_THAT(std::string(Verify().status().message()), HasSubstr("was changed after step 25, between its checkpoints at 20 and 30"));
  server_.checkpoints.by_name["fineTuningJobs/j1/checkpoints/20"].set_resumable(false);
  server_.checkpoints.by_name["fineTuningJobs/j1/checkpoints/10"].set_resumable(false);
  EXPECT_EQ(Verify().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Verify().status().message()), HasSubstr("has 1 checkpoint that can be resumed"));
  EXPECT_EQ(VerifyResume(*client_, "fineTuningJobs/nobody", {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(server_.jobs.created, IsEmpty());
}

TEST_F(VerifyResumeTest, AChangeAtTheCheckpointsThemselvesIsNoObstacle) {
  ScriptReplay(server_, 30);
  for (int64_t step : {5, 20, 30}) server_.jobs.jobs[kReplayedJob].add_adjustments()->set_after_step(step);
  EXPECT_TRUE(Verify().ok());
}

}  // namespace
}  // namespace attune::client
