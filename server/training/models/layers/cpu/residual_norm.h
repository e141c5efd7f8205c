// The end of a transformer's sublayer in one pass over memory: output = LayerNorm(dropout(input + bias) + residual), and its gradient.
//
// G is the type of matrix products (float or BFloat16); everything else is float. All matrices are dense, row-major [rows, width]. Thread-safe.
#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

#include "server/training/models/layers/cpu/dropout_site.h"

namespace attune::training::cpu {

template <class G>
struct ResidualNormForward {
  int64_t rows = 0, width = 0;
  const G* input = nullptr;
  const float* bias = nullptr;      // [width], of the linear layer whose product `input` is
  const float* residual = nullptr;
  const float* weight = nullptr;    // [width], of the norm
  const float* shift = nullptr;     // [width], the norm's bias
  float epsilon = 0;
  DropoutSite dropout;
  float* output = nullptr;
  float* sum = nullptr;   // what is normalised; kept for backward, or null
  float* mean = nullptr;  // [rows]
  float* scale = nullptr; // [rows], 1 / standard deviation
};

template <class G>
struct ResidualNormBackward {
  int64_t rows = 0, width = 0;
  const float* grad_output = nullptr;
  const float* sum = nullptr;
  const float* mean = nullptr;
  const float* scale = nullptr;
  const float* weight = nullptr;
  DropoutSite dropout;
  float* grad_residual = nullptr;
  G* grad_input = nullptr;       // null where it would equal grad_residual (no dropout, G = float)
  float* grad_parameters = nullptr;  // [3, width]: of weight, shift and the linear's bias
};

void Run(const ResidualNormForward<float>& work);
void Run(const ResidualNormForward<c10::BFloat16>& work);
void Run(const ResidualNormBackward<float>& work);
void Run(const ResidualNormBackward<c10::BFloat16>& work);

}  // namespace attune::training::cpu
