// The loop on a model whose gradients are known: features are the batch's mean token id times a weight.
#include "server/training/steps/train_loop.h"

#include <limits>
#include <new>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/tokenizers/tokenizer.h"
#include "server/training/input/text_batches.h"
#include "server/training/steps/evaluate.h"
#include "server/training/steps/training_error.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

// One weight; each row's feature is that weight.
class OneWeightModel : public Model {
 public:
  OneWeightModel() { parameters_.push_back({"one.weight", at::ones({1}).requires_grad_(), 0, true}); }
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<std::string>& groups() const override { return groups_; }
  int64_t feature_size() const override { return 1; }
  double default_head_dropout() const override { return 0; }
  ModelOutput Forward(const Batch& batch, const ForwardMode&) override {
    if (batch.rows > most_rows || fails_at-- == 0) throw std::bad_alloc();
    batch_sizes.push_back(batch.rows);
    for (int64_t row : batch.example_indices) rows.push_back(row);
    return {parameters_[0].tensor.expand({batch.rows, 1}), {}};
  }
  void To(const at::Device&) override {}
  std::vector<int64_t> batch_sizes, rows;
  int64_t most_rows = 1000;  // that fit into memory
  int64_t fails_at = -1;     // the nth pass from now, from 0, does not

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::string> groups_ = {"one"};
};

// The loss is the mean of feature x target.
class ProductTask : public Task {
 public:
  const std::vector<Parameter>& head_parameters() const override { return none_; }
  at::Tensor Logits(const at::Tensor& features, bool) override { return features; }
  at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const override { return (logits.squeeze(1) * targets).mean() + extra; }
  at::Tensor Targets(const std::vector<const examples::Example*>& examples) const override {
    at::Tensor targets = at::zeros({static_cast<int64_t>(examples.size())});
    for (size_t i = 0; i < examples.size(); ++i) targets[static_cast<int64_t>(i)] = static_cast<float>(examples[i]->line);
    return targets * scale;
  }
  EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const override {
    EvaluationResult result;
    result.rows = logits.size(0);
    for (int64_t i = 0; i < result.rows; ++i) result.values[absl::StrCat(i)] = targets[i].item<double>();
    return result;
  }
  at::Tensor Probabilities(const at::Tensor& logits) const override { return logits; }
  at::Tensor LogitsOf(const at::Tensor& probabilities) const override { return probabilities; }
  std::string default_metric() const override { return "loss"; }
  std::string problem_type() const override { return ""; }
  void To(const at::Device&) override {}
  float scale = 1, extra = 0;

 private:
  std::vector<Parameter> none_;
};

class TrainLoopTest : public ::testing::Test {
 protected:
  // Rows 0 .. n-1 whose targets are their lines, 2 .. n+1.
  void Prepare(int64_t rows, int64_t batch_size, int64_t accumulation, int n_epochs) {
    WriteTinyModel(dir_.path() + "/model");
    WriteTinyDataset(dir_.path() + "/data", examples::LabelKind::kSingleLabel, {.train = rows, .validation = 5, .test = 0});
    reader_ = *examples::ExampleReader::Open(dir_.path() + "/data");
    tokenizer_ = *tokenizers::LoadTokenizer(dir_.path() + "/model");
    batches_ = Batches(examples::Split::kTrain, batch_size, true);
    PhaseSpec phase;
    phase.n_epochs = n_epochs;
    plan_ = std::make_unique<TrainingPlan>(std::vector<PhaseSpec>{phase},
                                           PlanOptions{.rows = rows, .batch_size = batch_size, .accumulation = accumulation});
    optimizer_ = std::make_unique<Optimizer>(OptimizerOptions{.adamw = false}, std::vector<OptimizedParameter>{{"one.weight", model_.parameters()[0].tensor, 1, false}});
  }
  std::unique_ptr<TextBatches> Batches(examples::Split split, int64_t batch_size, bool shuffle) {
    auto dataset = std::make_shared<TextDataset>(reader_, tokenizer_, split, TextDatasetOptions{.max_length = 32});
    return std::make_unique<TextBatches>(dataset, BatchRowsOptions{.rows = dataset->size(), .batch_size = batch_size, .seed = 3, .shuffle = shuffle},
                                         [this](const auto& examples) { return task_.Targets(examples); });
  }
  LoopEnd Run(int64_t begin = 0) {
    LoopPhase phase;
    phase.begin_step = begin;
    phase.job_step = begin;
    phase.peak_rate = rate_;
    phase.schedule = ScheduleKind::kConstant;
    return RunPhase(model_, task_, *optimizer_, *batches_, *plan_, phase, {}, callbacks_);
  }
  double weight() const { return model_.parameters()[0].tensor.item<double>(); }

  TemporaryDirectory dir_;
  OneWeightModel model_;
  ProductTask task_;
  double rate_ = 0.001;
  std::vector<StepReport> reports_;
  LoopCallbacks callbacks_{[] { return false; }, [this](const StepReport& report) {
                             reports_.push_back(report);
                             return true;
                           }};
  std::shared_ptr<const examples::ExampleReader> reader_;
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  std::unique_ptr<TextBatches> batches_;
  std::unique_ptr<TrainingPlan> plan_;
  std::unique_ptr<Optimizer> optimizer_;
};

TEST_F(TrainLoopTest, AccumulationIsTheMeanOverTheRowsOfAStep) {
  Prepare(/*rows=*/10, /*batch_size=*/4, /*accumulation=*/3, /*n_epochs=*/1);
  ASSERT_EQ(Run(), LoopEnd::kCompleted);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(model_.batch_sizes, (std::vector<int64_t>{4, 4, 2}));
  EXPECT_NEAR(reports_[0].loss, 6.5, 1e-5);  // mean of 2 .. 11, although the last batch is half as large
  EXPECT_NEAR(reports_[0].grad_norm, 6.5, 1e-5);
  EXPECT_NEAR(weight(), 1 - 0.001 * 6.5, 1e-6);
  EXPECT_EQ(reports_[0].rows, 10);
}

TEST_F(TrainLoopTest, EveryRowOncePerEpoch) {
  Prepare(10, 4, 2, 3);
  ASSERT_EQ(Run(), LoopEnd::kCompleted);
  ASSERT_EQ(model_.rows.size(), 30u);
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> rows(model_.rows.begin() + epoch * 10, model_.rows.begin() + (epoch + 1) * 10);
    EXPECT_THAT(rows, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  }
  EXPECT_EQ(reports_.size(), 6u);
}

TEST_F(TrainLoopTest, BeginsWhereItIsTold) {
  Prepare(10, 4, 2, 3);
  ASSERT_EQ(Run(), LoopEnd::kCompleted);
  const std::vector<int64_t> all = model_.rows;
  const std::vector<StepReport> reports = reports_;
  model_.rows.clear();
  reports_.clear();
  ASSERT_EQ(Run(/*begin=*/3), LoopEnd::kCompleted);  // 2 steps an epoch: the second step of the second epoch
  EXPECT_EQ(model_.rows, std::vector<int64_t>(all.begin() + 18, all.end()));
  ASSERT_EQ(reports_.size(), 3u);
  EXPECT_EQ(reports_[0].job_step, 4);
  EXPECT_EQ(reports_[0].steps_done, reports[3].steps_done);
}

TEST_F(TrainLoopTest, StoppingDropsTheUnfinishedStep) {
  Prepare(16, 4, 2, 1);
  int asked = 0;
  callbacks_.stop_requested = [&] { return asked++ == 3; };  // before the second batch of the second step
  EXPECT_EQ(Run(), LoopEnd::kStopped);
  EXPECT_EQ(reports_.size(), 1u);
  EXPECT_EQ(model_.batch_sizes.size(), 3u);
  EXPECT_FALSE(model_.parameters()[0].tensor.grad().defined());
}

TEST_F(TrainLoopTest, TheCallbackEndsThePhase) {
  Prepare(16, 4, 1, 1);
  callbacks_.after_step = [](const StepReport& report) { return report.steps_done < 2; };
  EXPECT_EQ(Run(), LoopEnd::kEndedByCallback);
  EXPECT_EQ(model_.batch_sizes.size(), 2u);
}

TEST_F(TrainLoopTest, WhereMemoryRunsOutTheStepIsRepeatedInParts) {
  Prepare(/*rows=*/10, /*batch_size=*/4, /*accumulation=*/3, /*n_epochs=*/2);
  model_.most_rows = 1;
  std::vector<std::pair<int64_t, int>> divided;
  callbacks_.divided = [&](int64_t after_step, int parts) { divided.emplace_back(after_step, parts); };
  ASSERT_EQ(Run(), LoopEnd::kCompleted);
  EXPECT_THAT(divided, ::testing::ElementsAre(std::pair(0, 2), std::pair(0, 4))) << "once: later steps begin with what fits";
  ASSERT_EQ(reports_.size(), 2u);
  EXPECT_NEAR(reports_[0].loss, 6.5, 1e-5);
  EXPECT_NEAR(reports_[0].grad_norm, 6.5, 1e-5);
  EXPECT_EQ(reports_[0].rows, 10);
  EXPECT_EQ(model_.batch_sizes, std::vector<int64_t>(20, 1));
  EXPECT_THAT(std::vector<int64_t>(model_.rows.begin() + 10, model_.rows.end()), ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST_F(TrainLoopTest, WhatWasDoneOfTheStepIsDoneAnew) {
  Prepare(10, 4, 3, 1);
  model_.fails_at = 2;  // the third batch: two have left their gradients
  int divided = 0;
  callbacks_.divided = [&](int64_t, int) { ++divided; };
  ASSERT_EQ(Run(), LoopEnd::kCompleted);
  EXPECT_EQ(divided, 1);
  EXPECT_EQ(model_.batch_sizes, (std::vector<int64_t>{4, 4, 2, 2, 2, 2, 1, 1}));
  EXPECT_NEAR(reports_[0].grad_norm, 6.5, 1e-5);
  EXPECT_NEAR(weight(), 1 - 0.001 * 6.5, 1e-6);
}

TEST_F(TrainLoopTest, ARowThatDoesNotFitIsPassedOn) {
  Prepare(10, 4, 1, 1);
  model_.most_rows = 0;
  EXPECT_THROW(Run(), std::bad_alloc);
  EXPECT_EQ(weight(), 1);
}

TEST_F(TrainLoopTest, EvaluatesInPartsWhereMemoryRunsOut) {
  Prepare(16, 4, 1, 1);
  model_.most_rows = 1;
  const auto batches = Batches(examples::Split::kValidation, 3, false);
  const auto result = Evaluate(model_, task_, *batches, 5, {}, [] { return false; });
  ASSERT_TRUE(result.has_value());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(result->values.at(absl::StrCat(i)), 16 + i + 2) << i;
  model_.most_rows = 0;
  EXPECT_THROW(Evaluate(model_, task_, *batches, 5, {}, [] { return false; }), std::bad_alloc);
}

struct Failure {
  FailureCategory category = FailureCategory::kSystem;
  int64_t step = -1;
  std::string text;
};

Failure FailureOf(const std::function<void()>& function) {
  try {
    function();
  } catch (const TrainingError& error) {
    return {error.category(), error.step(), error.what()};
  }
  return {};
}

TEST_F(TrainLoopTest, ALossThatBecomesNanIsTheUsersAndNamesTheStep) {
  Prepare(16, 4, 1, 1);
  callbacks_.after_step = [&](const StepReport&) {
    task_.extra = std::numeric_limits<float>::quiet_NaN();
    return true;
  };
  const double before = weight();
  const Failure failure = FailureOf([&] { Run(); });
  EXPECT_EQ(failure.category, FailureCategory::kUser);
  EXPECT_EQ(failure.step, 2);
  EXPECT_THAT(failure.text, ::testing::HasSubstr("step 2: the loss became NaN at learning rate 0.001"));
  EXPECT_NE(weight(), before);
  EXPECT_FALSE(std::isnan(weight()));  // the bad step was not taken
}

TEST_F(TrainLoopTest, WeightsThatWereNeverFiniteAreTheDatas) {
  Prepare(16, 4, 1, 1);
  model_.parameters()[0].tensor.detach().fill_(std::numeric_limits<float>::infinity());
  const Failure failure = FailureOf([&] { Run(); });
  EXPECT_EQ(failure.category, FailureCategory::kData);
  EXPECT_EQ(failure.step, 1);
  EXPECT_THAT(failure.text, ::testing::HasSubstr("one.weight"));
}

TEST_F(TrainLoopTest, LabelsThatAreNotFiniteAreTheDatas) {
  task_.scale = std::numeric_limits<float>::infinity();
  Prepare(16, 4, 1, 1);
  const Failure failure = FailureOf([&] { Run(); });
  EXPECT_EQ(failure.category, FailureCategory::kData);
  EXPECT_THAT(failure.text, ::testing::HasSubstr("label"));
}

TEST_F(TrainLoopTest, EvaluateSeesEveryRowAtItsPlace) {
  Prepare(16, 4, 1, 1);
  const auto batches = Batches(examples::Split::kValidation, 2, false);
  const auto result = Evaluate(model_, task_, *batches, 5, {}, [] { return false; });
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->rows, 5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(result->values.at(absl::StrCat(i)), 16 + i + 2) << i;
  EXPECT_FALSE(Evaluate(model_, task_, *batches, 5, {}, [] { return true; }).has_value());
}

}  // namespace
}  // namespace attune::training
