// A task: the head on top of a model's features, its loss, how outputs become predictions, and its metrics. One file per task registers itself, as in
// models/. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/examples/example.h"
#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/tasks/calibration.h"

namespace attune::training {

struct TaskOptions {
  std::vector<std::string> labels;  // empty for regression
  int64_t feature_size = 0;
  std::vector<int64_t> hidden_sizes;  // of layers between features and logits
  HeadActivation activation = HeadActivation::kRelu;
  double head_dropout = 0;          // before each linear layer
  double label_smoothing = 0;
  std::vector<double> class_weights;  // in label order; empty: all 1
  HeadInit init = HeadInit::kNormal;
  double initializer_range = 0.02;  // of kNormal
  std::string head_name;            // "classifier"
  int64_t auxiliary_size = 0;       // 0: the model has no auxiliary classifier
  std::string auxiliary_head_name;  // "AuxLogits.fc"
  int head_group = 0;
  uint64_t seed = 0;
};

// What LogitsOf takes 0 for, so that logits stay finite.
inline constexpr double kLeastProbability = 1e-12;

struct ClassMetrics {
  std::string label;
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;
};

struct EvaluationResult {
  int64_t rows = 0;
  std::map<std::string, double> values;  // loss, accuracy, top5_accuracy (of six classes or more), f1_macro, f1_micro, ece, mse, mae, pearson
  std::vector<ClassMetrics> classes;
  std::vector<int64_t> confusion;        // row-major, true x predicted; single label only
  std::vector<CalibrationBin> calibration;  // empty for regression
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const std::vector<Parameter>& head_parameters() const = 0;  // "classifier.weight" [C, F], "classifier.bias" [C]
  virtual at::Tensor Logits(const at::Tensor& features, bool training) = 0;                    // [B, C] fp32
  virtual at::Tensor AuxiliaryLogits(const at::Tensor& features);                              // [B, C]; only where options had an auxiliary_size
  virtual at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const = 0;      // mean over the batch, scalar fp32
  // The loss that is minimised. Where rows have weights in its mean (BatchWeight is defined) it is the sum over the batch, to be divided by the weights of all rows of the
  // step: the mean of a step over several batches cannot be made of theirs. Otherwise the mean over the batch, with the class weights of the options if they have any.
  virtual at::Tensor WeightedLoss(const at::Tensor& logits, const at::Tensor& targets) const { return Loss(logits, targets); }
  // Sum of the weights of the batch's rows, scalar; undefined: rows count the same.
  virtual at::Tensor BatchWeight(const Batch& batch) const { return {}; }
  // WeightedLoss of the head with dropout, mixed targets as Batch::mix says, and 0.4 of the auxiliary classifier's (Szegedy et al. 2015, as in torchvision's training
  // script) where the model gave its features.
  at::Tensor TrainingLoss(const ModelOutput& output, const Batch& batch);
  virtual at::Tensor Targets(const std::vector<const examples::Example*>& examples) const = 0; // as Batch::targets
  // Figures from all logits [N, C] and targets of a split (CPU). Pure.
  virtual EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const = 0;
  // Probabilities [B, C] (softmax, sigmoid), or the values themselves for regression.
  virtual at::Tensor Probabilities(const at::Tensor& logits) const = 0;
  // Its inverse: finite logits [B, C] that give these probabilities.
  virtual at::Tensor LogitsOf(const at::Tensor& probabilities) const = 0;
  virtual std::string default_metric() const = 0;          // "accuracy", "f1_macro", "mse"
  virtual std::string problem_type() const = 0;            // transformers' config.problem_type
  virtual void To(const at::Device& device) = 0;
};

struct TaskFactory {
  std::string name;  // "text-classification", "text-multi-label", "text-regression", and the same with "image-"
  std::function<std::unique_ptr<Task>(const TaskOptions&)> create;
};

class TaskRegistry {
 public:
  static TaskRegistry& Get();
  bool Register(TaskFactory factory);
  const TaskFactory* Find(const std::string& name) const;

 private:
  std::vector<TaskFactory> factories_;
};

// A task on features does not ask what they are of: it is registered under the name for texts and the name for images.
#define ATTUNE_REGISTER_TASK(text_name, image_name, create)                                                                 \
  [[maybe_unused]] static const bool attune_task_registered_ = ::attune::training::TaskRegistry::Get().Register({text_name, create}) && \
                                                               ::attune::training::TaskRegistry::Get().Register({image_name, create})

// True when a larger value of the metric is better (accuracy, f1_*, pearson); false for loss, errors and ece.
bool LargerIsBetter(const std::string& metric);

}  // namespace attune::training
