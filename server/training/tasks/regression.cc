// One number for each example: mean squared error, as transformers does for num_labels = 1.
#include <cmath>
#include <stdexcept>
#include <utility>

#include <ATen/core/Reduction.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mse_loss.h>

#include "absl/strings/str_cat.h"
#include "server/training/tasks/metrics.h"
#include "server/training/tasks/head.h"
#include "server/training/tasks/task.h"

namespace attune::training {
namespace {

class Regression : public Task {
 public:
  explicit Regression(const TaskOptions& options) : head_(options, 1) {}

  const std::vector<Parameter>& head_parameters() const override { return head_.parameters(); }
  at::Tensor Logits(const at::Tensor& features, bool training) override { return head_.Logits(features, training); }
  at::Tensor AuxiliaryLogits(const at::Tensor& features) override { return head_.AuxiliaryLogits(features); }

  at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const override {
    return at::mse_loss(logits.squeeze(1), targets, at::Reduction::Mean);
  }

  at::Tensor Targets(const std::vector<const examples::Example*>& examples) const override {
    at::Tensor targets = at::empty({static_cast<int64_t>(examples.size())}, at::TensorOptions().dtype(at::kFloat));
    float* out = targets.mutable_data_ptr<float>();
    for (const examples::Example* example : examples) {
      const float value = static_cast<float>(example->value);
      if (!std::isfinite(value)) {
        throw std::invalid_argument(absl::StrCat("line ", example->line, " of file ", example->file, " has a target that is not a finite 32-bit number"));
      }
      *out++ = value;
    }
    return targets;
  }

  EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const override {
    EvaluationResult result;
    result.rows = logits.size(0);
    if (result.rows == 0) return result;
    const std::vector<double> predicted = ToDoubles(logits);
    const std::vector<double> truth = ToDoubles(targets);
    result.values["mse"] = MeanSquaredError(truth, predicted);
    result.values["mae"] = MeanAbsoluteError(truth, predicted);
    result.values["loss"] = result.values["mse"];
    if (const std::optional<double> pearson = PearsonCorrelation(truth, predicted)) result.values["pearson"] = *pearson;
    return result;
  }

  at::Tensor Probabilities(const at::Tensor& logits) const override { return logits; }
  at::Tensor LogitsOf(const at::Tensor& probabilities) const override { return probabilities; }
  std::string default_metric() const override { return "mse"; }
  std::string problem_type() const override { return "regression"; }
  void To(const at::Device& device) override { head_.To(device); }

 private:
  Head head_;
};

std::unique_ptr<Task> Create(const TaskOptions& options) {
  return std::make_unique<Regression>(options);
}

ATTUNE_REGISTER_TASK("text-regression", "image-regression", Create);

}  // namespace
}  // namespace attune::training
