// Activation functions of feed-forward layers, by transformers' hidden_act names. Pure.
#pragma once

#include <string_view>

#include <ATen/core/Tensor.h>

namespace attune::training {

enum class Activation {
  kGelu,      // exact, with erf (Hendrycks and Gimpel 2016)
  kGeluTanh,  // its tanh approximation: gelu_new, gelu_pytorch_tanh
  kRelu,
  kSilu,
};

// False for an unknown name.
bool ParseActivation(std::string_view name, Activation* activation);

at::Tensor Activate(Activation activation, const at::Tensor& x);

}  // namespace attune::training
