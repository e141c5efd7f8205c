// Plans: checked as jobs are, measured by a worker, and nothing stays.
#include <filesystem>
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/violations.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;

class PlanTest : public SchedulerFixture {
 protected:
  struct Answer {
    absl::Notification there;
    absl::StatusOr<v1::PlanFineTuningJobResponse> result;
    std::function<void()> cancel;
    const absl::StatusOr<v1::PlanFineTuningJobResponse>& Wait() {
      there.WaitForNotification();
      return result;
    }
  };
  static v1::PlanFineTuningJobRequest PlanRequest() {
    v1::PlanFineTuningJobRequest request;
    *request.mutable_spec() = Request().spec();
    return request;
  }
  std::shared_ptr<Answer> Plan(const v1::PlanFineTuningJobRequest& request = PlanRequest()) {
    auto answer = std::make_shared<Answer>();
    answer->cancel = scheduler_->Plan(request, [answer](absl::StatusOr<v1::PlanFineTuningJobResponse> result) {
      answer->result = std::move(result);
      answer->there.Notify();
    });
    return answer;
  }
  // Directories of the file thread are gone once what was posted to it before is done: an attempt's start goes the same way.
  std::vector<std::string> OutputDirectories() {
    Run(pool_->assignments() + 1);
    std::vector<std::string> names = ListDirectory(directory_.path() + "/jobs").value_or(std::vector<std::string>{});
    names.erase(std::remove_if(names.begin(), names.end(), [&](const std::string& name) { return scheduler_->GetJob("fineTuningJobs/" + name).ok(); }), names.end());
    return names;
  }
};

TEST_F(PlanTest, AWorkerMeasuresAndTheServerAddsWhatItKnows) {
  auto answer = Plan();
  auto [probe, done] = pool_->WaitForProbe(1);
  EXPECT_EQ(probe.assignment().model_dir(), "/dir/models/mini");
  EXPECT_EQ(probe.assignment().dataset_dir(), "/dir/datasets/tweets");
  EXPECT_EQ(probe.assignment().effective_spec().hyperparameters().batch_size(), 32) << "filled in";
  EXPECT_FALSE(probe.assignment().has_fence());
  EXPECT_TRUE(FileExists(probe.assignment().output_dir() + "/checkpoints"));
  EXPECT_TRUE(scheduler_->IsInUse("models/mini")) << "it may not be deleted meanwhile";
  v1::PlanFineTuningJobResponse measured;
  measured.set_fits(true);
  measured.mutable_memory()->set_peak_bytes(1 << 20);
  measured.set_checkpoint_bytes(1000);
  done(measured);
  ASSERT_TRUE(answer->Wait().ok()) << answer->result.status();
  EXPECT_EQ(answer->result->effective_spec().base_model(), "models/mini");
  EXPECT_GE(answer->result->disk_bytes(), 3000);
  EXPECT_GT(answer->result->disk_free_bytes(), 0);
  EXPECT_THAT(answer->result->summary(), HasSubstr("fits: needs 1.0 MiB"));
  EXPECT_THAT(OutputDirectories(), testing::IsEmpty());
  EXPECT_TRUE(scheduler_->ListJobs({}, ProjectSet::All()).value().fine_tuning_jobs_size() == 1) << "only the job of the check above";
}

TEST_F(PlanTest, FaultsOfTheSpecAreFoundBeforeAWorkerIsAsked) {
  v1::PlanFineTuningJobRequest request = PlanRequest();
  request.mutable_spec()->mutable_hyperparameters()->set_batch_size(0);
  absl::Status status = Plan(request)->Wait().status();
  ASSERT_EQ(jobs::ViolationsOf(status).size(), 1u) << status;
  EXPECT_EQ(jobs::ViolationsOf(status)[0].field, "spec.hyperparameters.batch_size");
  request = PlanRequest();
  request.mutable_spec()->set_base_model("models/none");
  EXPECT_EQ(Plan(request)->Wait().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Plan(v1::PlanFineTuningJobRequest())->Wait().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(scheduler_->IsInUse("models/mini"));
}

TEST_F(PlanTest, WhatTheWorkerRefusesIsTheSpecs) {
  auto answer = Plan();
  pool_->WaitForProbe(1).second(absl::InvalidArgumentError("tiny.csv line 3: not UTF-8"));
  ASSERT_EQ(jobs::ViolationsOf(answer->Wait().status()).size(), 1u);
  EXPECT_EQ(jobs::ViolationsOf(answer->result.status())[0].field, "spec");
  answer = Plan();
  pool_->WaitForProbe(2).second(absl::ResourceExhaustedError("8 plans wait already; try again later"));
  EXPECT_EQ(answer->Wait().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(scheduler_->IsInUse("models/mini"));
  EXPECT_THAT(OutputDirectories(), testing::IsEmpty());
}

TEST_F(PlanTest, NoWorkerCanBeHad) {
  pool_->SetStatus({.trouble = "exec failed"});
  const absl::Status status = Plan()->Wait().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("exec failed"));
}

TEST_F(PlanTest, CancellingReachesThePool) {
  auto answer = Plan();
  auto [probe, done] = pool_->WaitForProbe(1);
  answer->cancel();
  EXPECT_EQ(pool_->WaitForCancelledProbe(), 1);
  done(absl::CancelledError("the plan was cancelled"));
  EXPECT_EQ(answer->Wait().status().code(), absl::StatusCode::kCancelled);
  answer->cancel();  // too late; of no effect
}

TEST_F(PlanTest, AServerThatWasKilledLeavesNothing) {
  Plan();
  const std::string scratch = pool_->WaitForProbe(1).first.assignment().output_dir();
  Crash();
  EXPECT_FALSE(FileExists(scratch));
}

TEST_F(PlanTest, ADrainingServerRefuses) {
  scheduler_->Drain();
  EXPECT_EQ(Plan()->Wait().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attune::scheduler
