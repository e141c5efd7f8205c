// One class for each example: softmax and cross-entropy with label smoothing and class weights, as torch.nn.CrossEntropyLoss.
#include <stdexcept>
#include <utility>

#include <ATen/core/Reduction.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>

#include "absl/strings/str_cat.h"
#include "server/training/tasks/metrics.h"
#include "server/training/tasks/head.h"
#include "server/training/tasks/task.h"

namespace attune::training {
namespace {

constexpr int64_t kIgnoreIndex = -100;  // torch's default; no target has it
constexpr int64_t kTop = 5;             // of top5_accuracy, which says nothing where there are no more classes

class Classification : public Task {
 public:
  explicit Classification(const TaskOptions& options)
      : labels_(options.labels), label_smoothing_(options.label_smoothing), class_weights_(ClassWeightsOf(options)),
        head_(options, static_cast<int64_t>(options.labels.size())) {}

  const std::vector<Parameter>& head_parameters() const override { return head_.parameters(); }
  at::Tensor Logits(const at::Tensor& features, bool training) override { return head_.Logits(features, training); }
  at::Tensor AuxiliaryLogits(const at::Tensor& features) override { return head_.AuxiliaryLogits(features); }

  at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const override {
    return at::cross_entropy_loss(logits, targets, /*weight=*/{}, at::Reduction::Mean, kIgnoreIndex, label_smoothing_);
  }

  at::Tensor WeightedLoss(const at::Tensor& logits, const at::Tensor& targets) const override {
    if (!class_weights_.defined()) return Loss(logits, targets);
    return at::cross_entropy_loss(logits, targets, class_weights_, at::Reduction::Sum, kIgnoreIndex, label_smoothing_);
  }

  // Mixed targets are those of the same rows in another order, so they weigh the same.
  at::Tensor BatchWeight(const Batch& batch) const override {
    return class_weights_.defined() ? class_weights_.index_select(0, batch.targets).sum() : at::Tensor();
  }

  at::Tensor Targets(const std::vector<const examples::Example*>& examples) const override {
    at::Tensor targets = at::empty({static_cast<int64_t>(examples.size())}, at::TensorOptions().dtype(at::kLong));
    int64_t* out = targets.mutable_data_ptr<int64_t>();
    for (const examples::Example* example : examples) {
      if (example->labels.size() != 1 || example->labels[0] < 0 || example->labels[0] >= static_cast<int64_t>(labels_.size())) {
        throw std::invalid_argument(absl::StrCat("line ", example->line, " of file ", example->file, " does not have exactly one known label"));
      }
      *out++ = example->labels[0];
    }
    return targets;
  }

  EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const override {
    EvaluationResult result;
    result.rows = logits.size(0);
    if (result.rows == 0) return result;
    const int64_t classes = static_cast<int64_t>(labels_.size());
    const at::Tensor predicted = logits.argmax(1).contiguous();
    const at::Tensor truth = targets.contiguous();
    const int64_t* p = predicted.const_data_ptr<int64_t>();
    const int64_t* t = truth.const_data_ptr<int64_t>();
    result.confusion = ConfusionMatrix({t, t + result.rows}, {p, p + result.rows}, classes);
    result.values["loss"] = Loss(logits, targets).item<double>();
    result.values["accuracy"] = Accuracy(result.confusion, classes);
    const at::Tensor scores = logits.to(at::kFloat).contiguous();
    if (classes > kTop) result.values["top5_accuracy"] = TopKAccuracy({t, t + result.rows}, FloatsOf(scores), classes, kTop);
    AddClassMetrics(labels_, CountsOfConfusion(result.confusion, classes), /*only_seen=*/true, &result);
    std::vector<uint8_t> right;
    for (int64_t i = 0; i < result.rows; ++i) right.push_back(p[i] == t[i]);
    AddCalibration(Confidences(FloatsOf(scores), classes), right, &result);
    return result;
  }

  at::Tensor Probabilities(const at::Tensor& logits) const override { return at::softmax(logits, 1); }
  at::Tensor LogitsOf(const at::Tensor& probabilities) const override { return probabilities.clamp_min(kLeastProbability).log(); }
  std::string default_metric() const override { return "accuracy"; }
  std::string problem_type() const override { return "single_label_classification"; }
  void To(const at::Device& device) override {
    head_.To(device);
    if (class_weights_.defined()) class_weights_ = class_weights_.to(device);
  }

 private:
  const std::vector<std::string> labels_;
  const double label_smoothing_;
  at::Tensor class_weights_;  // [C]; undefined: all 1
  Head head_;
};

std::unique_ptr<Task> Create(const TaskOptions& options) {
  if (options.labels.size() < 2) throw std::invalid_argument("classification needs at least two labels");
  return std::make_unique<Classification>(options);
}

ATTUNE_REGISTER_TASK("text-classification", "image-classification", Create);

}  // namespace
}  // namespace attune::training
