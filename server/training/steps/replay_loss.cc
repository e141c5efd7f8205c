#include "server/training/steps/replay_loss.h"

#include <ATen/TensorOperators.h>

#include "server/training/input/batch_parts.h"

namespace attune::training {
namespace {

ModelOutput RowsOf(const ModelOutput& output, int64_t first, int64_t count) {
  return {output.features.narrow(0, first, count), output.auxiliary.defined() ? output.auxiliary.narrow(0, first, count) : at::Tensor()};
}

}  // namespace

at::Tensor LossOfRows(Task& task, Task* replay_task, const ModelOutput& output, const Batch& batch) {
  if (batch.replay == nullptr) return task.TrainingLoss(output, batch);
  const int64_t own = OwnRows(batch), replayed = batch.replay->rows;
  const double share = static_cast<double>(replayed) / static_cast<double>(batch.rows);
  // The first dataset's loss first: the dropout masks of its head do not depend on the other's.
  const at::Tensor first = task.TrainingLoss(RowsOf(output, 0, own), batch);
  const at::Tensor second = (replay_task != nullptr ? *replay_task : task).TrainingLoss(RowsOf(output, own, replayed), *batch.replay);
  return first * (1 - share) + second * share;
}

}  // namespace attune::training
