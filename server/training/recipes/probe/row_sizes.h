// What the rows of a split weigh: tokens of texts, 1 of images. The unit in which a probe measures memory and time. Throws what batches throw.
//
//   RowSizes sizes(setup, examples::Split::kTrain);
//   std::vector<int64_t> rows = sizes.Cut(orders).Rows(/*batch_size=*/32);
#pragma once

#include <cstdint>
#include <vector>

#include "server/examples/example.h"
#include "server/training/recipes/job_setup.h"
#include "server/training/steps/plan/heaviest_batch.h"

namespace attune::training {

class RowSizes {
 public:
  // Tokenises all rows of a split of texts, or of a long one as many as `most`, spread evenly: each stands for those up to the next.
  RowSizes(const JobSetup& setup, examples::Split split, int64_t most = 20000);

  bool texts() const { return texts_; }
  double mean() const { return mean_; }  // of a row
  // Of the batches that `orders` are cut into; in place of each row the one that stands for it.
  HeaviestBatches Cut(std::vector<std::vector<int64_t>> orders) const;
  double Of(const std::vector<int64_t>& rows) const;

 private:
  int64_t Standing(int64_t row) const;  // the row that was tokenised for it

  const int64_t rows_;
  bool texts_ = false;
  int64_t stride_ = 1;            // between rows that were tokenised
  std::vector<int32_t> lengths_;  // of every row
  double mean_ = 1;
};

}  // namespace attune::training
