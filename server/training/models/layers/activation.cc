#include "server/training/models/layers/activation.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>

namespace attune::training {

bool ParseActivation(std::string_view name, Activation* activation) {
  if (name == "gelu") {
    *activation = Activation::kGelu;
  } else if (name == "gelu_new" || name == "gelu_pytorch_tanh") {
    *activation = Activation::kGeluTanh;
  } else if (name == "relu") {
    *activation = Activation::kRelu;
  } else if (name == "silu" || name == "swish") {
    *activation = Activation::kSilu;
  } else {
    return false;
  }
  return true;
}

at::Tensor Activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kRelu:
      return at::relu(x);
    case Activation::kSilu:
      return at::silu(x);
  }
  return x;
}

}  // namespace attune::training
