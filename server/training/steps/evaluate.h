// Evaluation of a model on a split: forward passes without gradients, and the task's figures over all rows. The training thread alone; batches are made ahead on a
// thread of their own. Passes on what batches, model and task throw.
//
//   std::optional<EvaluationResult> result = Evaluate(model, task, validation_batches, rows, {.device = device}, [&] { return false; });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "server/training/input/batch.h"
#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/tasks/task.h"

namespace attune::training {

struct EvaluateOptions {
  c10::Device device = c10::Device(c10::kCPU);
  Precision precision = Precision::kFp32;
  int loader_threads = 1;
};

// Forward passes alone: `take` gets each batch as it was made and its logits, [B, C] fp32 on the CPU, in order. False when stopped.
bool RunBatches(Model& model, Task& task, const BatchSource& batches, const EvaluateOptions& options, const std::function<bool()>& stop_requested,
                const std::function<void(const Batch&, const at::Tensor& logits)>& take);

// Logits and targets of a split's rows, in the order of the split; they and nothing else of it are kept.
class LogitsOfSplit {
 public:
  explicit LogitsOfSplit(int64_t rows) : rows_(rows) {}
  void Take(const Batch& batch, const at::Tensor& logits);
  const at::Tensor& logits() const { return logits_; }    // [N, C]; undefined without batches
  const at::Tensor& targets() const { return targets_; }  // as Batch::targets

 private:
  const int64_t rows_;
  at::Tensor logits_, targets_;
};

// `batches` must not shuffle. Empty when `stop_requested` (asked before each batch) said to stop.
std::optional<EvaluationResult> Evaluate(Model& model, Task& task, const BatchSource& batches, int64_t rows, const EvaluateOptions& options,
                                         const std::function<bool()>& stop_requested);

// The same with probabilities averaged over several views of each row, one source for each view. With one view it is Evaluate.
std::optional<EvaluationResult> EvaluateViews(Model& model, Task& task, const std::vector<std::unique_ptr<BatchSource>>& views, int64_t rows,
                                              const EvaluateOptions& options, const std::function<bool()>& stop_requested);

}  // namespace attune::training
