// Evaluation of a model on a split: forward passes without gradients, and the task's figures over all rows. The training thread alone; batches are made ahead on a
// thread of their own. Passes on what batches, model and task throw.
//
//   std::optional<EvaluationResult> result = Evaluate(model, task, validation_batches, rows, {.device = device}, [&] { return false; });
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

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

// `batches` must not shuffle. Empty when `stop_requested` (asked before each batch) said to stop.
std::optional<EvaluationResult> Evaluate(Model& model, Task& task, const BatchSource& batches, int64_t rows, const EvaluateOptions& options,
                                         const std::function<bool()>& stop_requested);

}  // namespace attune::training
