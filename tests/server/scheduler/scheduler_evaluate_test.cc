// Evaluations: from names to directories, and back.
#include <memory>
#include <string>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/violations.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EvaluateTest : public SchedulerFixture {
 protected:
  struct Answer {
    absl::Notification there;
    absl::StatusOr<v1::CheckpointEvaluation> result;
    int64_t rows_done = 0;
    std::function<void()> cancel;
  };
  std::shared_ptr<Answer> Evaluate(const v1::EvaluateRequest& request) {
    auto answer = std::make_shared<Answer>();
    EvaluateCallbacks callbacks;
    callbacks.progress = [answer](const v1::EvaluateProgress& progress) { answer->rows_done = progress.rows_done(); };
    callbacks.done = [answer](absl::StatusOr<v1::CheckpointEvaluation> result) {
      answer->result = std::move(result);
      answer->there.Notify();
    };
    answer->cancel = scheduler_->Evaluate(request, std::move(callbacks));
    return answer;
  }
  absl::Status StatusOf(const v1::EvaluateRequest& request) {
    auto answer = Evaluate(request);
    answer->there.WaitForNotification();
    return answer->result.status();
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = jobs::ViolationsOf(status);
    return violations.size() == 1 ? violations[0].field : status.ToString();
  }
};

TEST_F(EvaluateTest, NamesBecomeDirectoriesAndTheResultGetsThem) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  Save(assigned, 10, /*is_best=*/true);
  Save(assigned, 20);
  v1::EvaluateRequest request;
  request.set_checkpoint(job);
  request.set_find_suspects(true);
  request.set_batch_size(8);
  auto answer = Evaluate(request);
  auto [command, callbacks] = pool_->WaitForEvaluation(1);
  EXPECT_EQ(command.checkpoint_dir(), CheckpointPath(job, 10));
  EXPECT_EQ(command.dataset_dir(), "/dir/datasets/tweets") << "the job's own";
  EXPECT_EQ(command.split(), "");
  EXPECT_EQ(command.suspect_count(), 20);
  EXPECT_EQ(command.batch_size(), 8);
  v1::EvaluateProgress progress;
  progress.set_rows_done(32);
  callbacks.progress(progress);
  EXPECT_EQ(answer->rows_done, 32);
  v1::CheckpointEvaluation result;
  result.set_training_rows(45);
  callbacks.done(result);
  ASSERT_TRUE(answer->result.ok()) << answer->result.status();
  EXPECT_EQ(answer->result->checkpoint(), job + "/checkpoints/10");
  EXPECT_EQ(answer->result->dataset(), "datasets/tweets");
  EXPECT_EQ(answer->result->evaluation().step(), 10);
  EXPECT_EQ(answer->result->training_rows(), 45);
  request.set_checkpoint(job + "/checkpoints/last");
  Evaluate(request);
  EXPECT_EQ(pool_->WaitForEvaluation(2).first.checkpoint_dir(), CheckpointPath(job, 20));
}

TEST_F(EvaluateTest, CancellingReachesThePool) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  v1::EvaluateRequest request;
  request.set_checkpoint(assigned.fence().job() + "/checkpoints/10");
  Evaluate(request);
  auto second = Evaluate(request);
  second->cancel();
  EXPECT_THAT(pool_->cancelled_evaluations(), ElementsAre(2));
}

TEST_F(EvaluateTest, FaultsAreFoundBeforeAWorkerIsAsked) {
  worker::v1::Assign assigned = Run();
  const std::string job = assigned.fence().job();
  v1::EvaluateRequest request;
  request.set_checkpoint(job);
  EXPECT_EQ(StatusOf(request).code(), absl::StatusCode::kNotFound) << "no checkpoint yet";
  Save(assigned, 10);
  v1::EvaluateRequest bad = request;
  bad.set_batch_size(0);
  EXPECT_EQ(FieldOf(StatusOf(bad)), "batch_size");
  bad = request;
  bad.set_dataset("datasets/flowers");
  EXPECT_EQ(FieldOf(StatusOf(bad)), "dataset");
  EXPECT_THAT(std::string(StatusOf(bad).message()), HasSubstr("has images"));
  bad.set_dataset("datasets/none");
  EXPECT_EQ(StatusOf(bad).code(), absl::StatusCode::kNotFound);
  bad = request;
  bad.set_split(v1::SPLIT_TEST);
  EXPECT_EQ(FieldOf(StatusOf(bad)), "split");
  bad.set_checkpoint("fineTuningJobs/none/checkpoints/1");
  EXPECT_EQ(StatusOf(bad).code(), absl::StatusCode::kNotFound);
}

TEST_F(EvaluateTest, WhatTheWorkerRefusesIsTheDatasets) {
  worker::v1::Assign assigned = Run();
  Save(assigned, 10);
  v1::EvaluateRequest request;
  request.set_checkpoint(assigned.fence().job());
  auto answer = Evaluate(request);
  pool_->WaitForEvaluation(1).second.done(absl::InvalidArgumentError("tiny.csv line 3: not UTF-8"));
  EXPECT_EQ(FieldOf(answer->result.status()), "dataset");
  EXPECT_THAT(std::string(answer->result.status().message()), HasSubstr("tiny.csv line 3"));
  answer = Evaluate(request);
  pool_->WaitForEvaluation(2).second.done(absl::UnavailableError("lost"));
  EXPECT_EQ(answer->result.status(), absl::UnavailableError("lost"));
}

}  // namespace
}  // namespace attune::scheduler
