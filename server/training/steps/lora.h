// Lora: low-rank adapters (Hu et al. 2021) beside some weights of a model, whatever its architecture. The model runs on W = W0 + alpha / r * B A, written into its own
// parameter after each update, so it exports under the usual names; the optimizer has A [r, in] and B [out, r] in place of W. What autograd finds for W becomes the exact
// gradients of A and B by the chain rule. A convolution's weight [out, in, height, width] counts as [out, in * height * width].
//
// Saves the optimizer's moments of W; not W's gradient, which is there from the backward pass to TakeGradients, and W0 is kept beside W. The training thread alone.
//
//   Lora lora({.rank = 8, .alpha = 16, .seed = seed}, model.parameters(), targets);   // while weights are the base model's
//   loss.backward();
//   lora.TakeGradients();
//   optimizer.Step(rate);        // on lora.Learning(...)
//   lora.WriteWeights();
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "server/training/models/model.h"
#include "server/training/steps/optimizer.h"
#include "server/training/steps/tensor_io.h"

namespace attune::training {

struct LoraOptions {
  int64_t rank = 8;
  double alpha = 16;
  uint64_t seed = 0;  // of A, uniform in +-1/sqrt(in) (Kaiming, as nn.Linear); B is zero
};

class Lora {
 public:
  // `targets`: for each parameter whether it gets adapters.
  Lora(const LoraOptions& options, const std::vector<Parameter>& parameters, const std::vector<bool>& targets);

  bool Has(const std::string& weight) const { return Find(weight) != nullptr; }
  // What the optimizer learns in place of a weight: A and B, with its rate.
  std::vector<OptimizedParameter> Learning(const OptimizedParameter& weight) const;

  // Gradients of the weights that require one become those of their A and B, and go.
  void TakeGradients();
  // Writes W of the weights that require a gradient; others stay as they are.
  void WriteWeights();

  // "lora_A.<weight>" and "lora_B.<weight>". Tensors alias the state: loading into them restores it.
  std::vector<NamedTensor> State() const;
  void To(const c10::Device& device);

  int64_t weight_count() const { return static_cast<int64_t>(adapters_.size()); }
  int64_t value_count() const;  // of A and B together

 private:
  struct Adapter {
    std::string name;
    at::Tensor weight;  // the model's parameter
    at::Tensor base;    // W0, [out, in]
    at::Tensor a, b;
  };
  const Adapter* Find(const std::string& weight) const;

  const double scale_;
  std::vector<Adapter> adapters_;
};

}  // namespace attune::training
