#include "server/training/steps/evaluate.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "server/training/input/prefetcher.h"
#include "server/training/steps/out_of_memory.h"
#include "server/training/steps/precision.h"
#include "server/training/steps/view_mean.h"

namespace attune::training {
namespace {

// Puts a batch's rows at their places in the split.
void Scatter(const at::Tensor& values, const at::Tensor& rows, int64_t total, at::Tensor& into) {
  if (!into.defined()) {
    std::vector<int64_t> shape = values.sizes().vec();
    shape[0] = total;
    into = at::empty(shape, values.options());
  }
  into.index_copy_(0, rows, values);
}

}  // namespace

bool RunBatches(Model& model, Task& task, const BatchSource& batches, const EvaluateOptions& options, const std::function<bool()>& stop_requested,
                const std::function<void(const Batch&, const at::Tensor& logits)>& take) {
  at::NoGradGuard no_grad;
  Prefetcher loader([&](int64_t i) { return batches.Make(0, i); }, 0, batches.batches_per_epoch(),
                    {.depth = 2 * options.loader_threads + 2, .threads = options.loader_threads});
  int parts = 1;
  while (true) {
    if (stop_requested()) return false;
    const std::optional<Batch> batch = loader.Next();
    if (!batch.has_value()) return true;
    const Batch moved = ToDevice(*batch, options.device);
    AutocastGuard autocast(options.device, options.precision);
    take(*batch, RunInParts(moved, parts, [&](const Batch& part) {
           return task.Logits(model.Forward(part, {.training = false}).features, /*training=*/false).to(at::kCPU, at::kFloat);
         }));
  }
}

void LogitsOfSplit::Take(const Batch& batch, const at::Tensor& logits) {
  std::vector<int64_t> indices = batch.example_indices;
  const at::Tensor place = at::from_blob(indices.data(), {batch.rows}, at::TensorOptions().dtype(at::kLong));
  Scatter(batch.targets, place, rows_, targets_);
  Scatter(logits, place, rows_, logits_);
}

std::optional<EvaluationResult> Evaluate(Model& model, Task& task, const BatchSource& batches, int64_t rows, const EvaluateOptions& options,
                                         const std::function<bool()>& stop_requested) {
  LogitsOfSplit all(rows);
  if (!RunBatches(model, task, batches, options, stop_requested, [&](const Batch& batch, const at::Tensor& logits) { all.Take(batch, logits); })) return std::nullopt;
  return task.Evaluate(all.logits(), all.targets());
}

std::optional<EvaluationResult> EvaluateViews(Model& model, Task& task, const std::vector<std::unique_ptr<BatchSource>>& views, int64_t rows,
                                              const EvaluateOptions& options, const std::function<bool()>& stop_requested) {
  if (views.size() == 1) return Evaluate(model, task, *views[0], rows, options, stop_requested);
  at::NoGradGuard no_grad;
  ViewMean mean(task);
  at::Tensor targets;
  for (const std::unique_ptr<BatchSource>& view : views) {
    LogitsOfSplit all(rows);
    if (!RunBatches(model, task, *view, options, stop_requested, [&](const Batch& batch, const at::Tensor& logits) { all.Take(batch, logits); })) return std::nullopt;
    mean.Add(all.logits());
    targets = all.targets();
  }
  return task.Evaluate(mean.Logits(), targets);
}

}  // namespace attune::training
