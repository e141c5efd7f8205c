// Head: what a task puts on a model's features. Dropout and one linear layer, as in transformers' BertForSequenceClassification and torchvision's classifiers, or hidden
// layers before it: dropout, linear, activation for each. Where the model has an auxiliary classifier, a linear layer for it too. fp32 in every precision: it is small, and
// logits decide the loss. Not thread-safe.
//
// Names: without hidden layers "{head_name}.weight" and ".bias"; with them those of torch.nn.Sequential(Dropout, Linear, Activation, Dropout, Linear, ...):
// "{head_name}.1.weight", "{head_name}.4.weight", ...
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/models/model.h"
#include "server/training/tasks/task.h"

namespace attune::training {

class Head {
 public:
  // Seeded weights as options.init says; hidden layers always as torch.nn.Linear. Throws std::invalid_argument for sizes that make no head.
  Head(const TaskOptions& options, int64_t outputs);
  const std::vector<Parameter>& parameters() const { return parameters_; }
  at::Tensor Logits(const at::Tensor& features, bool training) const;          // [B, F] -> [B, outputs], fp32
  at::Tensor AuxiliaryLogits(const at::Tensor& features) const;                // [B, auxiliary_size] -> [B, outputs]; throws std::logic_error without one
  void To(const at::Device& device);

 private:
  struct Linear {
    at::Tensor weight, bias;  // [out, in], [out]
  };
  Linear Add(const std::string& name, int64_t inputs, int64_t outputs, const TaskOptions& options, HeadInit init, at::Generator& generator);

  const double dropout_;
  const HeadActivation activation_;
  std::vector<Linear> layers_;  // the last gives the logits
  Linear auxiliary_;
  std::vector<Parameter> parameters_;
};

// Values of a CPU tensor of any floating type, row-major.
std::vector<double> ToDoubles(const at::Tensor& tensor);

// The same as they are, of a contiguous CPU tensor of floats; valid as long as the tensor.
std::span<const float> FloatsOf(const at::Tensor& tensor);

// Calibration of an evaluation, and its error.
void AddCalibration(const std::vector<double>& confidences, const std::vector<uint8_t>& right, EvaluationResult* result);

// options.class_weights as a tensor [C] fp32; undefined where there are none. Throws std::invalid_argument when there are not as many as labels.
at::Tensor ClassWeightsOf(const TaskOptions& options);

// The per-class part of an evaluation, and its F1 figures.
struct ClassCounts;
void AddClassMetrics(const std::vector<std::string>& labels, const std::vector<ClassCounts>& counts, bool only_seen, EvaluationResult* result);

}  // namespace attune::training
