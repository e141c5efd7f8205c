#include "server/training/steps/replay_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "server/training/input/batch_parts.h"
#include "server/training/steps/precision.h"

namespace attune::training {
namespace {

std::unique_ptr<Task> TaskOf(std::vector<std::string> labels, uint64_t seed) {
  TaskOptions options;
  options.labels = std::move(labels);
  options.feature_size = 6;
  options.head_name = "classifier";
  options.seed = seed;
  return TaskRegistry::Get().Find("text-classification")->create(options);
}

class ReplayLossTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SeedGenerators(3);
    features_ = at::randn({5, 6});
    batch_.rows = 5;
    batch_.targets = at::tensor({0, 1, 1}, at::kLong);
    auto replay = std::make_shared<Batch>();
    replay->rows = 2;
    replay->targets = at::tensor({2, 0}, at::kLong);
    batch_.replay = replay;
  }
  double LossOf(Task& task, int64_t first, int64_t count, const at::Tensor& targets) {
    return task.Loss(task.Logits(features_.narrow(0, first, count), true), targets).item<double>();
  }
  at::Tensor features_;
  Batch batch_;
  std::unique_ptr<Task> own_ = TaskOf({"a", "b", "c"}, 1), other_ = TaskOf({"x", "y", "z"}, 2);
};

TEST_F(ReplayLossTest, IsTheMeanOverRowsThroughTheirOwnHeads) {
  const double expected = 0.6 * LossOf(*own_, 0, 3, batch_.targets) + 0.4 * LossOf(*other_, 3, 2, batch_.replay->targets);
  EXPECT_NEAR(LossOfRows(*own_, other_.get(), {features_, {}}, batch_).item<double>(), expected, 1e-6);
}

TEST_F(ReplayLossTest, WithOneHeadItIsTheMeanOverAllRows) {
  const double expected = LossOf(*own_, 0, 5, at::tensor({0, 1, 1, 2, 0}, at::kLong));
  EXPECT_NEAR(LossOfRows(*own_, nullptr, {features_, {}}, batch_).item<double>(), expected, 1e-6);
}

TEST_F(ReplayLossTest, WithoutReplayItIsTheTasks) {
  batch_.replay = nullptr;
  batch_.rows = 3;
  EXPECT_EQ(OwnRows(batch_), 3);
  EXPECT_EQ(LossOfRows(*own_, other_.get(), {features_.narrow(0, 0, 3), {}}, batch_).item<double>(), LossOf(*own_, 0, 3, batch_.targets));
}

TEST_F(ReplayLossTest, EachHeadLearnsFromItsOwnRowsAlone) {
  for (Task* task : {own_.get(), other_.get()}) task->head_parameters()[0].tensor.requires_grad_();
  EXPECT_EQ(OwnRows(batch_), 3);
  LossOfRows(*own_, other_.get(), {features_, {}}, batch_).backward();
  const at::Tensor before = own_->head_parameters()[0].tensor.grad().clone();
  own_->head_parameters()[0].tensor.mutable_grad() = at::Tensor();
  auto turned = std::make_shared<Batch>(*batch_.replay);
  turned->targets = at::tensor({1, 1}, at::kLong);
  batch_.replay = turned;
  LossOfRows(*own_, other_.get(), {features_, {}}, batch_).backward();
  EXPECT_TRUE(own_->head_parameters()[0].tensor.grad().equal(before));
}

}  // namespace
}  // namespace attune::training
