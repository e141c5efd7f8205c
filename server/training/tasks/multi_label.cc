// Any number of classes for each example: a sigmoid for each class, binary cross-entropy, class weights as pos_weight, as torch.nn.BCEWithLogitsLoss.
#include <stdexcept>
#include <utility>

#include <ATen/core/Reduction.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/training/tasks/metrics.h"
#include "server/training/tasks/head.h"
#include "server/training/tasks/task.h"

namespace attune::training {
namespace {

class MultiLabel : public Task {
 public:
  explicit MultiLabel(const TaskOptions& options)
      : labels_(options.labels), pos_weight_(ClassWeightsOf(options)), head_(options, static_cast<int64_t>(options.labels.size())) {}

  const std::vector<Parameter>& head_parameters() const override { return head_.parameters(); }
  at::Tensor Logits(const at::Tensor& features, bool training) override { return head_.Logits(features, training); }
  at::Tensor AuxiliaryLogits(const at::Tensor& features) override { return head_.AuxiliaryLogits(features); }

  at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const override {
    return at::binary_cross_entropy_with_logits(logits, targets, /*weight=*/{}, /*pos_weight=*/{}, at::Reduction::Mean);
  }

  // A mean over rows and classes that weights leave as it is: batches count by their rows.
  at::Tensor WeightedLoss(const at::Tensor& logits, const at::Tensor& targets) const override {
    if (!pos_weight_.defined()) return Loss(logits, targets);
    return at::binary_cross_entropy_with_logits(logits, targets, /*weight=*/{}, pos_weight_, at::Reduction::Mean);
  }

  at::Tensor Targets(const std::vector<const examples::Example*>& examples) const override {
    const int64_t classes = static_cast<int64_t>(labels_.size());
    at::Tensor targets = at::zeros({static_cast<int64_t>(examples.size()), classes});
    float* row = targets.mutable_data_ptr<float>();
    for (const examples::Example* example : examples) {
      for (int32_t label : example->labels) {
        if (label < 0 || label >= classes) {
          throw std::invalid_argument(absl::StrCat("line ", example->line, " of file ", example->file, " has a label that is not in the label set"));
        }
        row[label] = 1;
      }
      row += classes;
    }
    return targets;
  }

  // A class is predicted where its probability is over one half.
  EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const override {
    EvaluationResult result;
    result.rows = logits.size(0);
    if (result.rows == 0) return result;
    const int64_t classes = static_cast<int64_t>(labels_.size());
    const std::vector<uint8_t> predicted = Positive(logits);
    const std::vector<uint8_t> truth = Positive(targets);
    result.values["loss"] = Loss(logits, targets).item<double>();
    result.values["accuracy"] = SubsetAccuracy(truth, predicted, classes);
    AddClassMetrics(labels_, CountsOfMultiLabel(truth, predicted, classes), /*only_seen=*/false, &result);
    std::vector<uint8_t> right;
    for (size_t i = 0; i < truth.size(); ++i) right.push_back(truth[i] == predicted[i]);
    const at::Tensor scores = logits.to(at::kFloat).contiguous();
    AddCalibration(BinaryConfidences(FloatsOf(scores)), right, &result);
    return result;
  }

  at::Tensor Probabilities(const at::Tensor& logits) const override { return at::sigmoid(logits); }
  at::Tensor LogitsOf(const at::Tensor& probabilities) const override { return probabilities.logit(kLeastProbability); }
  std::string default_metric() const override { return "f1_macro"; }
  std::string problem_type() const override { return "multi_label_classification"; }
  void To(const at::Device& device) override {
    head_.To(device);
    if (pos_weight_.defined()) pos_weight_ = pos_weight_.to(device);
  }

 private:
  static std::vector<uint8_t> Positive(const at::Tensor& tensor) {
    std::vector<uint8_t> out;
    for (double value : ToDoubles(tensor)) out.push_back(value > 0);
    return out;
  }

  const std::vector<std::string> labels_;
  at::Tensor pos_weight_;  // [C]; undefined: all 1
  Head head_;
};

std::unique_ptr<Task> Create(const TaskOptions& options) {
  return std::make_unique<MultiLabel>(options);
}

ATTUNE_REGISTER_TASK("text-multi-label", "image-multi-label", Create);

}  // namespace
}  // namespace attune::training
