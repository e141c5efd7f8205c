// LayerNorm of one row and its gradient. Internal to this folder.
#pragma once

#include <cmath>
#include <cstdint>

#include "server/training/models/layers/cpu/lanes.h"

namespace attune::training::cpu {

ATTUNE_INLINE void NormaliseRow(const float* x, const float* weight, const float* shift, float epsilon, int64_t width, float* out, float* mean_out, float* scale_out) {
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < width; ++j) total += x[j];
  const float mean = total / static_cast<float>(width);
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t j = 0; j < width; ++j) squares += (x[j] - mean) * (x[j] - mean);
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(width) + epsilon);
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) out[j] = (x[j] - mean) * scale * weight[j] + shift[j];
  *mean_out = mean;
  *scale_out = scale;
}

// grad_x from grad (of the output); adds to grad_weight and grad_shift. `grad_x` may be `grad`.
ATTUNE_INLINE void NormaliseRowBackward(const float* grad, const float* x, const float* weight, float mean, float scale, int64_t width, float* grad_x, float* grad_weight,
                                        float* grad_shift) {
  float along_ones = 0, along_x = 0;
#pragma omp simd reduction(+ : along_ones, along_x)
  for (int64_t j = 0; j < width; ++j) {
    const float unit = (x[j] - mean) * scale;
    const float g = grad[j] * weight[j];
    along_ones += g;
    along_x += g * unit;
    grad_weight[j] += grad[j] * unit;
    grad_shift[j] += grad[j];
  }
  along_ones /= static_cast<float>(width);
  along_x /= static_cast<float>(width);
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const float unit = (x[j] - mean) * scale;
    grad_x[j] = scale * (grad[j] * weight[j] - along_ones - unit * along_x);
  }
}

}  // namespace attune::training::cpu
