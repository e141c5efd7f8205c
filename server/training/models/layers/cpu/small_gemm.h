// C (+)= A B for matrices that fit in the first two cache levels, as attention has for each sequence and head. Internal to this folder.
//
// A is read through two strides, so that a transposed matrix needs no copy; B and C are row-major with a number of columns that is a multiple of kGemmColumns (callers pad).
#pragma once

#include <cstdint>

#include "server/training/models/layers/cpu/lanes.h"

namespace attune::training::cpu {

inline constexpr int64_t kGemmColumns = 16;
inline constexpr int kGemmRows = 6;  // 6 x 16 sums fill 12 of AVX2's 16 registers

typedef float Lanes __attribute__((vector_size(32)));

struct StridedMatrix {
  const float* data;
  int64_t row_stride;
  int64_t column_stride;
};

template <int kRows>
ATTUNE_INLINE void GemmTile(const StridedMatrix& a, int64_t first_row, const float* b, int64_t b_stride, int64_t depth, float* c, int64_t c_stride, bool add) {
  Lanes sums[kRows][2];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
    sums[m][0] = Lanes{};
    sums[m][1] = Lanes{};
  }
  const float* rows = a.data + first_row * a.row_stride;
  for (int64_t k = 0; k < depth; ++k) {
    Lanes b0, b1;
    __builtin_memcpy(&b0, b + k * b_stride, sizeof(b0));
    __builtin_memcpy(&b1, b + k * b_stride + 8, sizeof(b1));
    const float* column = rows + k * a.column_stride;
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const float value = column[m * a.row_stride];
      sums[m][0] += value * b0;
      sums[m][1] += value * b1;
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
    float* out = c + m * c_stride;
    if (add) {
      Lanes old0, old1;
      __builtin_memcpy(&old0, out, sizeof(old0));
      __builtin_memcpy(&old1, out + 8, sizeof(old1));
      sums[m][0] += old0;
      sums[m][1] += old1;
    }
    __builtin_memcpy(out, &sums[m][0], sizeof(Lanes));
    __builtin_memcpy(out + 8, &sums[m][1], sizeof(Lanes));
  }
}

ATTUNE_INLINE void SmallGemm(const StridedMatrix& a, const float* b, int64_t b_stride, int64_t rows, int64_t columns, int64_t depth, float* c, int64_t c_stride, bool add) {
  for (int64_t n = 0; n < columns; n += kGemmColumns) {
    int64_t m = 0;
    for (; m + kGemmRows <= rows; m += kGemmRows) GemmTile<kGemmRows>(a, m, b + n, b_stride, depth, c + m * c_stride + n, c_stride, add);
    float* rest = c + m * c_stride + n;
    switch (rows - m) {
      case 5:
        GemmTile<5>(a, m, b + n, b_stride, depth, rest, c_stride, add);
        break;
      case 4:
        GemmTile<4>(a, m, b + n, b_stride, depth, rest, c_stride, add);
        break;
      case 3:
        GemmTile<3>(a, m, b + n, b_stride, depth, rest, c_stride, add);
        break;
      case 2:
        GemmTile<2>(a, m, b + n, b_stride, depth, rest, c_stride, add);
        break;
      case 1:
        GemmTile<1>(a, m, b + n, b_stride, depth, rest, c_stride, add);
        break;
      default:
        break;
    }
  }
}

}  // namespace attune::training::cpu
