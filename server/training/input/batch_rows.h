// BatchRows: which rows of a split make up batch b of epoch e. Random as in transformers' Trainer, seeded; or in order, for evaluation. Thread-safe.
//
//   BatchRows rows({.rows = 26000, .batch_size = 32, .seed = 42});
//   std::vector<int64_t> indices = rows.Of(/*epoch=*/0, /*batch=*/3);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace attune::training {

struct BatchRowsOptions {
  int64_t rows = 0;          // of the split
  int64_t batch_size = 32;
  uint64_t seed = 42;
  bool shuffle = true;       // false: rows in order; every epoch is the same
  // Rows of an epoch when shuffled, as many as there are, and as pure as EpochOrder; a row may come twice. Null: each row once, by EpochOrder.
  std::function<std::vector<int64_t>(int64_t epoch)> order = nullptr;
};

class BatchRows {
 public:
  // Throws std::invalid_argument for a batch_size below 1.
  explicit BatchRows(const BatchRowsOptions& options);
  const BatchRowsOptions& options() const { return options_; }
  int64_t batches_per_epoch() const;  // the last one may be smaller
  bool may_repeat() const { return options_.shuffle && options_.order != nullptr; }  // whether an epoch may have a row twice
  // Throws std::out_of_range for a batch that the epoch does not have.
  std::vector<int64_t> Of(int64_t epoch, int64_t batch) const;

 private:
  std::shared_ptr<const std::vector<int64_t>> Order(int64_t epoch) const;

  const BatchRowsOptions options_;
  mutable std::mutex mutex_;
  mutable int64_t cached_epoch_ = -1;                                  // guarded by mutex_
  mutable std::shared_ptr<const std::vector<int64_t>> cached_order_;  // guarded by mutex_
};

}  // namespace attune::training
