// Work on the rows of a matrix in parallel, and sums over rows whose order of addition does not depend on the number of threads. Internal to this folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>

namespace attune::training::cpu {

// Calls work(begin, end) on row ranges.
template <class Work>
void ForRows(int64_t rows, int64_t width, const Work& work) {
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(width, 1));
  at::parallel_for(0, rows, grain, work);
}

// For sums over rows: at most 16 blocks of rows, each adding into its own `columns` floats, which are then added up in order. work(begin, end, partial); the totals are
// written to `totals` (columns).
template <class Work>
void SumOverRows(int64_t rows, int64_t columns, float* totals, const Work& work) {
  constexpr int64_t kMostBlocks = 16;
  constexpr int64_t kFewestRows = 16;
  const int64_t blocks = std::clamp<int64_t>(rows / kFewestRows, 1, kMostBlocks);
  std::vector<float> partial(blocks * columns, 0.0f);
  at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) work(rows * b / blocks, rows * (b + 1) / blocks, partial.data() + b * columns);
  });
  for (int64_t b = 1; b < blocks; ++b) {
    for (int64_t c = 0; c < columns; ++c) partial[c] += partial[b * columns + c];
  }
  std::copy_n(partial.data(), columns, totals);
}

}  // namespace attune::training::cpu
