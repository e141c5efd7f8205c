// Batches whose input is the known output of a frozen prefix: rows of a FeatureTable in place of texts or pixels. The same rows in the same order as TextBatches and
// ImageBatches with equal BatchRowsOptions. Thread-safe. Throws std::runtime_error where the dataset is damaged.
//
//   FeatureBatches batches(table, /*groups=*/5, reader, Split::kTrain, {.rows = 3068, .batch_size = 32}, targets);
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/examples/example.h"
#include "server/training/input/batch.h"
#include "server/training/input/batch_rows.h"
#include "server/training/input/feature_store.h"
#include "server/training/input/targets.h"

namespace attune::training {

class FeatureBatches : public BatchSource {
 public:
  // `groups`: the layer groups whose output the table holds. Throws std::invalid_argument when the table has another number of rows than the split.
  FeatureBatches(std::shared_ptr<const FeatureTable> table, int groups, std::shared_ptr<const examples::ExampleReader> reader, examples::Split split,
                 const BatchRowsOptions& rows, TargetFunction targets);
  // The same with several views of each row: epoch e reads tables[e mod tables.size()]. Those of views that no epoch asks for may be null.
  FeatureBatches(std::vector<std::shared_ptr<const FeatureTable>> tables, int groups, std::shared_ptr<const examples::ExampleReader> reader, examples::Split split,
                 const BatchRowsOptions& rows, TargetFunction targets);
  int64_t batches_per_epoch() const override { return rows_.batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t batch) const override;

 private:
  const std::vector<std::shared_ptr<const FeatureTable>> tables_;
  const int groups_;
  const std::shared_ptr<const examples::ExampleReader> reader_;
  const examples::Split split_;
  const BatchRows rows_;
  at::Tensor targets_;  // of the whole split, in order: labels are read once
};

}  // namespace attune::training
