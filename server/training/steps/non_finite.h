// Why a loss is NaN or infinite, and what to do about it: the labels, the base weights, or the learning rate.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "server/training/models/model.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/tasks/task.h"

namespace attune::training {

struct NonFiniteStep {
  int64_t job_step = 0;  // from 1
  double loss = 0;
  double learning_rate = 0;
  Precision precision = Precision::kFp32;
};

// Throws TrainingError: DATA when labels or weights are not finite before training could have made them so, otherwise USER with advice. `targets` are those of the
// step's last batch.
[[noreturn]] void ThrowNotFinite(const Model& model, const Task& task, const at::Tensor& targets, const NonFiniteStep& step);

// Name of the first buffer or parameter that has a NaN or an infinity; empty when there is none.
std::string FirstNotFinite(const Model& model, const Task& task);

}  // namespace attune::training
