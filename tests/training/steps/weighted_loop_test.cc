// Class weights in the loop: a step over several batches equals a step over one large batch, whatever the batches' classes.
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include "server/training/input/batch_rows.h"
#include "server/training/steps/train_loop.h"

namespace attune::training {
namespace {

constexpr int64_t kRows = 10, kFeatures = 4;

// Each row's features are its own parameters.
class LookupModel : public Model {
 public:
  LookupModel() {
    at::Tensor table = at::empty({kRows, kFeatures}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t i = 0; i < table.numel(); ++i) table.mutable_data_ptr<float>()[i] = static_cast<float>(std::sin(1.3 * static_cast<double>(i)));
    parameters_.push_back({"table", table.requires_grad_(), 0, true});
  }
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<std::string>& groups() const override { return groups_; }
  int64_t feature_size() const override { return kFeatures; }
  double default_head_dropout() const override { return 0; }
  ModelOutput Forward(const Batch& batch, const ForwardMode&) override {
    std::vector<int64_t> rows = batch.example_indices;
    const at::Tensor index = at::from_blob(rows.data(), {batch.rows}, at::TensorOptions().dtype(at::kLong)).clone();
    return {parameters_[0].tensor.index_select(0, index), {}};
  }
  void To(const at::Device&) override {}

 private:
  std::vector<Parameter> parameters_;
  std::vector<std::string> groups_ = {"one"};
};

// Rows 0, 1 and 2 are of class 1, the others of class 0.
class TableBatches : public BatchSource {
 public:
  explicit TableBatches(int64_t batch_size) : rows_({.rows = kRows, .batch_size = batch_size, .seed = 3}) {}
  int64_t batches_per_epoch() const override { return rows_.batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t number) const override {
    Batch batch;
    batch.example_indices = rows_.Of(epoch, number);
    batch.rows = static_cast<int64_t>(batch.example_indices.size());
    batch.targets = at::empty({batch.rows}, at::TensorOptions().dtype(at::kLong));
    for (int64_t i = 0; i < batch.rows; ++i) batch.targets.mutable_data_ptr<int64_t>()[i] = batch.example_indices[i] < 3 ? 1 : 0;
    return batch;
  }

 private:
  const BatchRows rows_;
};

struct Trained {
  std::vector<StepReport> reports;
  std::vector<float> weights;  // of the model, then of the head
};

Trained Train(int64_t batch_size, int64_t accumulation, const std::vector<double>& class_weights, double smoothing) {
  LookupModel model;
  TaskOptions options;
  options.labels = {"many", "few"};
  options.feature_size = kFeatures;
  options.head_name = "classifier";
  options.label_smoothing = smoothing;
  options.class_weights = class_weights;
  options.seed = 5;
  const std::unique_ptr<Task> task = TaskRegistry::Get().Find("text-classification")->create(options);
  std::vector<OptimizedParameter> parameters;
  for (const auto& list : {model.parameters(), task->head_parameters()}) {
    for (const Parameter& parameter : list) {
      parameter.tensor.requires_grad_();
      parameters.push_back({parameter.name, parameter.tensor, 1, false});
    }
  }
  Optimizer optimizer({.adamw = false}, parameters);
  PhaseSpec phase;
  phase.n_epochs = 3;
  const TrainingPlan plan({phase}, {.rows = kRows, .batch_size = batch_size, .accumulation = accumulation});
  LoopPhase loop;
  loop.peak_rate = 0.5;
  loop.schedule = ScheduleKind::kConstant;
  Trained run;
  const LoopCallbacks callbacks{[] { return false; }, [&](const StepReport& report) {
                                  run.reports.push_back(report);
                                  return true;
                                }};
  RunPhase(model, *task, optimizer, TableBatches(batch_size), plan, loop, {}, callbacks);
  for (const OptimizedParameter& parameter : parameters) {
    const at::Tensor values = parameter.tensor.detach().contiguous();
    run.weights.insert(run.weights.end(), values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel());
  }
  return run;
}

TEST(WeightedLoop, AccumulationEqualsOneLargeBatch) {
  const std::pair<std::vector<double>, double> cases[] = {{{0.5, 4}, 0}, {{0.5, 4}, 0.2}, {{0, 2}, 0}, {{0, 2}, 0.2}};
  for (const auto& [class_weights, smoothing] : cases) {
    const Trained large = Train(10, 1, class_weights, smoothing);
    ASSERT_EQ(large.reports.size(), 3u);
    for (const int64_t batch_size : {1, 3, 4, 9}) {
      const Trained small = Train(batch_size, 10, class_weights, smoothing);
      ASSERT_EQ(small.reports.size(), 3u);
      for (size_t step = 0; step < 3; ++step) {
        EXPECT_NEAR(small.reports[step].loss, large.reports[step].loss, 1e-6) << batch_size << " " << step;
        EXPECT_NEAR(small.reports[step].grad_norm, large.reports[step].grad_norm, 1e-6) << batch_size << " " << step;
      }
      ASSERT_EQ(small.weights.size(), large.weights.size());
      for (size_t i = 0; i < large.weights.size(); ++i) EXPECT_NEAR(small.weights[i], large.weights[i], 1e-6) << batch_size << " " << i;
    }
    // The weights matter: with equal ones the run is another.
    EXPECT_GT(std::abs(Train(10, 1, {}, smoothing).reports[0].loss - large.reports[0].loss), 1e-3);
  }
}

TEST(WeightedLoop, WeightsOfOneAreNoWeights) {
  const Trained plain = Train(4, 3, {}, 0.1), ones = Train(4, 3, {1, 1}, 0.1);
  for (size_t step = 0; step < plain.reports.size(); ++step) EXPECT_NEAR(ones.reports[step].loss, plain.reports[step].loss, 1e-6);
  for (size_t i = 0; i < plain.weights.size(); ++i) EXPECT_NEAR(ones.weights[i], plain.weights[i], 1e-6);
}

// One row a step: most steps have nothing that weighs.
TEST(WeightedLoop, AStepThatWeighsNothingMovesNothing) {
  for (const int64_t accumulation : {1, 2}) {
    const Trained run = Train(1, accumulation, {0, 2}, 0);
    int silent = 0;
    for (const StepReport& report : run.reports) {
      EXPECT_TRUE(std::isfinite(report.loss));
      silent += report.loss == 0 && report.grad_norm == 0 ? 1 : 0;
    }
    EXPECT_GT(silent, 0);
    EXPECT_LT(silent, static_cast<int>(run.reports.size()));
    for (size_t i = 3 * kFeatures; i < kRows * kFeatures; ++i) EXPECT_EQ(run.weights[i], static_cast<float>(std::sin(1.3 * static_cast<double>(i)))) << i;
  }
}

}  // namespace
}  // namespace attune::training
