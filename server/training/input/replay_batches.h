// Batches in which rows of a second dataset follow those of the first (replay). An epoch is one pass over the first; the second one's rows come round in shuffled passes of
// their own, always as many in a batch. Thread-safe, as its sources are. Passes on what they throw.
//
//   ReplayBatches batches(std::move(first), std::move(second), /*second_per_pass=*/rows_of_second / rows_per_batch);
//   Batch batch = batches.Make(0, 3);   // batch.replay->rows of its rows are the second dataset's, the last ones
#pragma once

#include <cstdint>
#include <memory>

#include "server/training/input/batch.h"

namespace attune::training {

class ReplayBatches : public BatchSource {
 public:
  // `second_per_pass`: batches of the second source that are used of each of its epochs; leave out the last one where it is smaller than the others.
  ReplayBatches(std::unique_ptr<BatchSource> first, std::unique_ptr<BatchSource> second, int64_t second_per_pass);
  int64_t batches_per_epoch() const override { return first_->batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t batch) const override;

 private:
  const std::unique_ptr<BatchSource> first_, second_;
  const int64_t second_per_pass_;
};

// The rows of both, the first's before the second's; targets as Batch::replay says. Both hold texts, or both pixels of one size.
Batch Concatenate(const Batch& first, const Batch& second);

}  // namespace attune::training
