#include "server/training/input/feature_batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

#include "absl/strings/str_cat.h"

namespace attune::training {

FeatureBatches::FeatureBatches(std::shared_ptr<const FeatureTable> table, int groups, std::shared_ptr<const examples::ExampleReader> reader,
                               examples::Split split, const BatchRowsOptions& rows, TargetFunction targets)
    : FeatureBatches(std::vector<std::shared_ptr<const FeatureTable>>{std::move(table)}, groups, std::move(reader), split, rows, std::move(targets)) {}

FeatureBatches::FeatureBatches(std::vector<std::shared_ptr<const FeatureTable>> tables, int groups, std::shared_ptr<const examples::ExampleReader> reader,
                               examples::Split split, const BatchRowsOptions& rows, TargetFunction targets)
    : tables_(std::move(tables)), groups_(groups), reader_(std::move(reader)), split_(split), rows_(rows) {
  for (const std::shared_ptr<const FeatureTable>& table : tables_) {
    if (table == nullptr || table->rows() == rows.rows) continue;
    throw std::invalid_argument(absl::StrCat("a feature table of ", table->rows(), " rows does not belong to a split of ", rows.rows));
  }
  std::vector<int64_t> all(static_cast<size_t>(rows.rows));
  std::iota(all.begin(), all.end(), int64_t{0});
  if (!all.empty()) targets_ = ReadTargets(targets, *reader_, split_, all);
}

Batch FeatureBatches::Make(int64_t epoch, int64_t batch_number) const {
  Batch batch;
  batch.example_indices = rows_.Of(epoch, batch_number);
  batch.rows = static_cast<int64_t>(batch.example_indices.size());
  const FeatureTable& table = *tables_[static_cast<size_t>(epoch) % tables_.size()];
  std::vector<int64_t> shape = {batch.rows};
  shape.insert(shape.end(), table.shape().begin(), table.shape().end());
  batch.prefix_output = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  batch.prefix_groups = groups_;
  float* out = batch.prefix_output.mutable_data_ptr<float>();
  for (const int64_t row : batch.example_indices) out = std::copy_n(table.row(row), table.row_values(), out);
  if (targets_.defined()) {
    batch.targets = targets_.index_select(0, at::from_blob(batch.example_indices.data(), {batch.rows}, at::TensorOptions().dtype(at::kLong)));
  }
  return batch;
}

}  // namespace attune::training
