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

namespace attune::training {

struct TaskOptions {
  std::vector<std::string> labels;  // empty for regression
  int64_t feature_size = 0;
  double head_dropout = 0;
  double label_smoothing = 0;
  double initializer_range = 0.02;
  std::string head_name;            // "classifier"
  int head_group = 0;
  uint64_t seed = 0;
};

struct ClassMetrics {
  std::string label;
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;
};

struct EvaluationResult {
  int64_t rows = 0;
  std::map<std::string, double> values;  // loss, accuracy, f1_macro, f1_micro, mse, pearson
  std::vector<ClassMetrics> classes;
  std::vector<int64_t> confusion;        // row-major, true x predicted; single label only
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const std::vector<Parameter>& head_parameters() const = 0;  // "classifier.weight" [C, F], "classifier.bias" [C]
  virtual at::Tensor Logits(const at::Tensor& features, bool training) = 0;                    // [B, C] fp32
  virtual at::Tensor Loss(const at::Tensor& logits, const at::Tensor& targets) const = 0;      // mean over the batch, scalar fp32
  virtual at::Tensor Targets(const std::vector<const examples::Example*>& examples) const = 0; // as TextBatch::targets
  // Figures from all logits [N, C] and targets of a split (CPU). Pure.
  virtual EvaluationResult Evaluate(const at::Tensor& logits, const at::Tensor& targets) const = 0;
  // Probabilities [B, C] (softmax, sigmoid), or the values themselves for regression.
  virtual at::Tensor Probabilities(const at::Tensor& logits) const = 0;
  virtual std::string default_metric() const = 0;          // "accuracy", "f1_macro", "mse"
  virtual std::string problem_type() const = 0;            // transformers' config.problem_type
  virtual void To(const at::Device& device) = 0;
};

struct TaskFactory {
  std::string name;  // "text-classification", "text-multi-label", "text-regression"
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

#define ATTUNE_REGISTER_TASK(factory) \
  [[maybe_unused]] static const bool attune_task_registered_ = ::attune::training::TaskRegistry::Get().Register(factory)

// True when a larger value of the metric is better (accuracy, f1_*, pearson); false for loss and mse.
bool LargerIsBetter(const std::string& metric);

}  // namespace attune::training
