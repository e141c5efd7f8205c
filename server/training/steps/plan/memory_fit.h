// What a forward and backward pass needs of memory, as a straight line over its rows or tokens, and what follows from it: the most rows that fit, and with how many of them a
// step keeps its effective batch. Pure.
//
//   const MemoryFit fit = FitMemory({{64, 310 << 20}, {128, 340 << 20}, {256, 400 << 20}});
//   const int64_t rows = LargestBatch(fit, /*limit_bytes=*/2 << 30, /*batch_size=*/32, [](int64_t rows) { return tokens_of_the_largest_batch(rows); });
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace attune::training {

// A measured pass.
struct MemoryPoint {
  double units = 0;  // tokens of texts, rows of images
  double bytes = 0;  // the process's peak
};

struct MemoryFit {
  double base_bytes = 0;      // without any row
  double bytes_per_unit = 0;  // never negative
  double At(double units) const { return base_bytes + bytes_per_unit * units; }
};

// Least squares, weighted by units: the largest passes, which decide, count most, and what small ones hide below memory that was free already counts little. Of one point, or
// of points of equal units, the line is flat. Needs at least one.
MemoryFit FitMemory(const std::vector<MemoryPoint>& points);

// Rows, at most `batch_size`, whose pass stays within `limit_bytes` (0: no limit), while that of one row more does not; 0 when not even one row does. `units_of`: of the largest
// batch of so many rows.
int64_t LargestBatch(const MemoryFit& fit, double limit_bytes, int64_t batch_size, const std::function<double(int64_t rows)>& units_of);

// The smallest number of equal batches of at most `largest_batch` rows that make up a step of batch_size x accumulation rows exactly; 0 when largest_batch is.
int64_t AccumulationFor(int64_t batch_size, int64_t accumulation, int64_t largest_batch);

}  // namespace attune::training
