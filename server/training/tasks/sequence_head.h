// SequenceHead: dropout and one linear layer on a sequence's feature, as in transformers' BertForSequenceClassification. Shared by the text tasks. fp32 in every
// precision: it is tiny, and logits decide the loss. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/models/model.h"
#include "server/training/tasks/task.h"

namespace attune::training {

class SequenceHead {
 public:
  // Weights normal(0, options.initializer_range) from options.seed, bias 0.
  SequenceHead(const TaskOptions& options, int64_t outputs);
  const std::vector<Parameter>& parameters() const { return parameters_; }
  at::Tensor Logits(const at::Tensor& features, bool training) const;  // [B, F] -> [B, outputs], fp32
  void To(const at::Device& device);

 private:
  const double dropout_;
  at::Tensor weight_;  // [outputs, F]
  at::Tensor bias_;    // [outputs]
  std::vector<Parameter> parameters_;
};

// Values of a CPU tensor of any floating type, row-major.
std::vector<double> ToDoubles(const at::Tensor& tensor);

// The per-class part of an evaluation, and its F1 figures.
struct ClassCounts;
void AddClassMetrics(const std::vector<std::string>& labels, const std::vector<ClassCounts>& counts, bool only_seen, EvaluationResult* result);

}  // namespace attune::training
