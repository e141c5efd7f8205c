#include "server/training/recipes/probe/probe_batches.h"

#include <algorithm>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "server/training/input/epoch_order.h"
#include "server/training/steps/precision.h"

namespace attune::training {
namespace {

constexpr int64_t kMostEpochs = 8;  // whose orders are searched for the largest batch

// A few batches, again and again.
class FixedBatches final : public BatchSource {
 public:
  explicit FixedBatches(std::vector<Batch> batches) : batches_(std::move(batches)) {}
  int64_t batches_per_epoch() const override { return static_cast<int64_t>(batches_.size()); }
  Batch Make(int64_t, int64_t batch) const override { return batches_[static_cast<size_t>(batch) % batches_.size()]; }

 private:
  const std::vector<Batch> batches_;
};

}  // namespace

std::vector<std::vector<int64_t>> ProbeBatches::Orders(int phase) const {
  const PlannedPhase& planned = setup_.plan->phases()[phase];
  const int64_t epochs = setup_.plan->Epochs(phase);
  const int64_t rows = setup_.rows(examples::Split::kTrain);
  const int64_t rows_of_step = static_cast<int64_t>(OwnBatchSize(spec_)) * spec_.accumulation;
  std::vector<std::vector<int64_t>> orders;
  for (int64_t e = 0; e < std::min(epochs, kMostEpochs); ++e) {
    const int64_t epoch = planned.first_epoch + e;
    orders.push_back(setup_.balancing.order ? setup_.balancing.order(epoch) : EpochOrder(spec_.seed, epoch, rows));
    const int64_t steps = std::min(setup_.plan->steps_per_epoch(), planned.steps - e * setup_.plan->steps_per_epoch());
    if (steps * rows_of_step < rows) orders.back().resize(static_cast<size_t>(steps * rows_of_step));
  }
  return orders;
}

std::unique_ptr<BatchSource> ProbeBatches::Chosen(examples::Split split, std::vector<int64_t> rows, int64_t batch_size, bool plain) const {
  BatchRowsOptions options = {.rows = static_cast<int64_t>(rows.size()), .batch_size = batch_size, .seed = spec_.seed};
  options.order = [rows = std::move(rows)](int64_t) { return rows; };
  return setup_.input->Batches(split, options, {plain ? RowView::kPlain : RowView::kRandom}, setup_.targets());
}

std::unique_ptr<BatchSource> ProbeBatches::WithPrefix(examples::Split split, const std::vector<int64_t>& rows, int64_t batch_size, bool plain, int groups) const {
  at::NoGradGuard no_grad;
  std::vector<Batch> out;
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(batch_size)) {
    const std::vector<int64_t> of_batch(rows.begin() + static_cast<std::ptrdiff_t>(begin), rows.begin() + static_cast<std::ptrdiff_t>(std::min(rows.size(), begin + static_cast<size_t>(batch_size))));
    const std::unique_ptr<BatchSource> parts = Chosen(split, of_batch, kPrefixBatch, plain);
    Batch whole;
    std::vector<at::Tensor> outputs, targets;
    for (int64_t part = 0; part < parts->batches_per_epoch(); ++part) {
      const Batch batch = parts->Make(0, part);
      AutocastGuard autocast(setup_.device, setup_.precision);
      outputs.push_back(setup_.headed.model->Prefix(ToDevice(batch, setup_.device), groups).to(at::kCPU, at::kFloat));
      targets.push_back(batch.targets);
      whole.example_indices.insert(whole.example_indices.end(), batch.example_indices.begin(), batch.example_indices.end());
      whole.rows += batch.rows;
    }
    whole.targets = at::cat(targets);
    whole.prefix_output = at::cat(outputs);
    whole.prefix_groups = groups;
    out.push_back(std::move(whole));
  }
  return std::make_unique<FixedBatches>(std::move(out));
}

}  // namespace attune::training
