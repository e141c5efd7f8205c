// activation(input + bias) and its gradient in one pass over memory. G: float or BFloat16. Dense, row-major [rows, width].
// Thread-safe.
#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

#include "server/training/models/layers/activation.h"

namespace attune::training::cpu {

template <class G>
struct BiasActivationForward {
  int64_t rows = 0, width = 0;
  Activation activation = Activation::kGelu;
  const G* input = nullptr;
  const float* bias = nullptr;
  G* output = nullptr;
};

template <class G>
struct BiasActivationBackward {
  int64_t rows = 0, width = 0;
  Activation activation = Activation::kGelu;
  const G* input = nullptr;
  const float* bias = nullptr;
  G* grad = nullptr;           // of the output; becomes that of the input
  float* grad_bias = nullptr;  // [width]
};

void Run(const BiasActivationForward<float>& work);
void Run(const BiasActivationForward<c10::BFloat16>& work);
void Run(const BiasActivationBackward<float>& work);
void Run(const BiasActivationBackward<c10::BFloat16>& work);

}  // namespace attune::training::cpu
