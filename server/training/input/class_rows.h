// Which rows of a split have which class, and an order of an epoch in which classes are equally likely. Immutable after it was read: thread-safe.
//
//   const ClassRows classes = ReadClassRows(*reader, Split::kTrain);
//   std::vector<int64_t> order = BalancedOrder(classes, /*seed=*/42, /*epoch=*/0);   // as many as the split has
#pragma once

#include <cstdint>
#include <vector>

#include "server/examples/example.h"

namespace attune::training {

struct ClassRows {
  std::vector<std::vector<int64_t>> of_class;  // for each class of the manifest its rows, ascending
  std::vector<int64_t> without;                // rows that have no class (multi-label)
  int64_t rows = 0;                            // of the split

  std::vector<int64_t> counts() const;         // rows of each class
};

// Labels alone are read. Throws std::runtime_error where the dataset is damaged.
ClassRows ReadClassRows(const examples::ExampleReader& reader, examples::Split split);

// `classes.rows` draws with replacement: a class (of those that have rows; rows without any are one class more), then one of its rows. Pure; the same on every platform.
std::vector<int64_t> BalancedOrder(const ClassRows& classes, uint64_t seed, int64_t epoch);

}  // namespace attune::training
