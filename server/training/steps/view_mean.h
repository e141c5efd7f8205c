// ViewMean: the mean of a task's probabilities over several views of the same rows, and the logits that such probabilities come from. What evaluation and prediction with
// several views share. Not thread-safe.
//
//   ViewMean mean(task);
//   for (const Batch& view : views) mean.Add(task.Logits(model.Forward(view, {}).features, false));
//   at::Tensor logits = mean.Logits();
#pragma once

#include <ATen/core/Tensor.h>

#include "server/training/tasks/task.h"

namespace attune::training {

class ViewMean {
 public:
  explicit ViewMean(const Task& task) : task_(task) {}
  void Add(const at::Tensor& logits);  // [B, C], of one view; summed in fp64
  at::Tensor Logits() const;           // [B, C] fp32; of a single view what was added

 private:
  const Task& task_;
  at::Tensor first_, sum_;
  int views_ = 0;
};

}  // namespace attune::training
