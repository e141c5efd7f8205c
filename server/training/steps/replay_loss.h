// What a step minimises where a batch may hold rows of a second dataset: the mean over all rows, each dataset's rows through their own head. The training thread alone.
//
//   at::Tensor loss = LossOfRows(task, /*replay_task=*/nullptr, model.Forward(batch, mode), batch);   // without replay: task.TrainingLoss
#pragma once

#include <ATen/core/Tensor.h>

#include "server/training/tasks/task.h"

namespace attune::training {

// `replay_task`: whose head the second dataset's rows go through; null: `task`'s.
at::Tensor LossOfRows(Task& task, Task* replay_task, const ModelOutput& output, const Batch& batch);

}  // namespace attune::training
