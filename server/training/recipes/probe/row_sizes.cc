#include "server/training/recipes/probe/row_sizes.h"

#include <utility>

namespace attune::training {
namespace {

constexpr int kBatch = 64;

}  // namespace

RowSizes::RowSizes(const JobSetup& setup, examples::Split split, int64_t most)
    : rows_(setup.rows(split)), texts_(setup.reader->manifest().modality == examples::Modality::kText), lengths_(static_cast<size_t>(rows_), 1) {
  if (!texts_ || rows_ == 0) return;
  stride_ = (rows_ + most - 1) / most;
  std::vector<int64_t> chosen;
  for (int64_t row = 0; row < rows_; row += stride_) chosen.push_back(row);
  const auto batches = setup.input->Batches(split, {.rows = static_cast<int64_t>(chosen.size()), .batch_size = kBatch, .order = [&](int64_t) { return chosen; }}, {RowView::kPlain}, nullptr);
  for (int64_t b = 0; b < batches->batches_per_epoch(); ++b) {
    const Batch batch = batches->Make(0, b);
    for (const LengthRun& run : batch.text.runs) {
      for (int64_t i = run.first_sequence; i < run.first_sequence + run.count; ++i) {
        lengths_[static_cast<size_t>(batch.example_indices[static_cast<size_t>(i)])] = static_cast<int32_t>(run.length);
      }
    }
  }
  double tokens = 0;
  for (int64_t row = 0; row < rows_; ++row) {
    lengths_[static_cast<size_t>(row)] = lengths_[static_cast<size_t>(Standing(row))];
    tokens += lengths_[static_cast<size_t>(row)];
  }
  mean_ = tokens / static_cast<double>(rows_);
}

int64_t RowSizes::Standing(int64_t row) const { return row - row % stride_; }

HeaviestBatches RowSizes::Cut(std::vector<std::vector<int64_t>> orders) const {
  for (std::vector<int64_t>& order : orders) {
    for (int64_t& row : order) row = Standing(row);
  }
  return HeaviestBatches(lengths_, std::move(orders));
}

double RowSizes::Of(const std::vector<int64_t>& rows) const {
  double units = 0;
  for (const int64_t row : rows) units += lengths_[static_cast<size_t>(row)];
  return units;
}

}  // namespace attune::training
