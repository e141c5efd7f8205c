// The feed-forward block on the CPU: LayerNorm(dropout(activation(x W1^T + b1) W2^T + b2) + x) as one node of autograd's graph.
#include <stdexcept>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "server/training/models/layers/cpu/bias_activation.h"
#include "server/training/models/layers/cpu_drop_add_norm.h"
#include "server/training/models/layers/cpu_products.h"
#include "server/training/models/layers/encoder_blocks.h"

namespace attune::training::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Saved : torch::CustomClassHolder {
  BlockSettings settings;
  at::Tensor x;              // [T, H], as the product took it
  at::Tensor inner, active;  // [T, I], before bias and activation, and after
  at::Tensor weight, inner_bias, output_weight;
  SavedNorm norm;
  bool used = false;
};

template <class G>
void Activate(const at::Tensor& inner, const at::Tensor& bias, Activation activation, at::Tensor& active) {
  Run(BiasActivationForward<G>{.rows = inner.size(0),
                               .width = inner.size(1),
                               .activation = activation,
                               .input = inner.const_data_ptr<G>(),
                               .bias = ConstFloats(bias),
                               .output = active.mutable_data_ptr<G>()});
}

template <class G>
void ActivateBackward(const Saved& s, at::Tensor& grad, at::Tensor& grad_bias) {
  Run(BiasActivationBackward<G>{.rows = grad.size(0),
                                .width = grad.size(1),
                                .activation = s.settings.activation,
                                .input = s.inner.const_data_ptr<G>(),
                                .bias = ConstFloats(s.inner_bias),
                                .grad = grad.mutable_data_ptr<G>(),
                                .grad_bias = Floats(grad_bias)});
}

class FeedForwardNode : public torch::autograd::Function<FeedForwardNode> {
 public:
  enum Input { kX, kWeight, kBias, kOutputWeight, kOutputBias, kNormWeight, kNormBias, kSettings, kRecord, kInputs };

  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& output_weight,
                            const at::Tensor& output_bias, const at::Tensor& norm_weight, const at::Tensor& norm_bias, const BlockSettings& settings, bool record) {
    BareOperators bare;
    auto saved = c10::make_intrusive<Saved>();
    Saved& s = *saved;
    s.settings = settings;
    s.x = ForProducts(x, settings.product_type);
    s.weight = ForProducts(weight, settings.product_type);
    s.output_weight = ForProducts(output_weight, settings.product_type);
    s.inner_bias = bias.detach();
    s.norm.weight = norm_weight.detach();
    s.inner = Project(s.x, s.weight);
    s.active = record ? at::empty_like(s.inner) : s.inner;
    const bool half = settings.product_type == at::kBFloat16;
    half ? Activate<c10::BFloat16>(s.inner, bias, settings.activation, s.active) : Activate<float>(s.inner, bias, settings.activation, s.active);
    const at::Tensor product = Project(s.active, s.output_weight);
    at::Tensor out = half ? DropAddNorm<c10::BFloat16>(product, output_bias, x, norm_bias, settings, record, s.norm)
                          : DropAddNorm<float>(product, output_bias, x, norm_bias, settings, record, s.norm);
    if (record) context->saved_data["saved"] = c10::IValue::make_capsule(std::move(saved));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    BareOperators bare;
    auto saved = c10::static_intrusive_pointer_cast<Saved>(context->saved_data["saved"].toCapsule());
    TORCH_CHECK(!std::exchange(saved->used, true), "backward through a feed-forward block a second time: its activations are freed");
    const Saved s = std::move(*saved);
    return s.settings.product_type == at::kBFloat16 ? Backward<c10::BFloat16>(*context, s, grads[0]) : Backward<float>(*context, s, grads[0]);
  }

 private:
  template <class G>
  static variable_list Backward(const AutogradContext& context, const Saved& s, const at::Tensor& grad_output) {
    const auto [grad_x, grad_product, grad_norm] = DropAddNormBackward<G>(grad_output.contiguous(), s.settings, s.norm);
    variable_list out(kInputs);
    out[kNormWeight] = grad_norm[0];
    out[kNormBias] = grad_norm[1];
    out[kOutputBias] = grad_norm[2];
    if (context.needs_input_grad(kOutputWeight)) out[kOutputWeight] = WeightGradient(grad_product, s.active);
    const bool below = context.needs_input_grad(kX) || context.needs_input_grad(kWeight) || context.needs_input_grad(kBias);
    if (!below) return out;
    at::Tensor grad_inner = at::mm(grad_product, s.output_weight);
    out[kBias] = EmptyFloats(grad_inner.size(1));
    ActivateBackward<G>(s, grad_inner, out[kBias]);
    if (context.needs_input_grad(kWeight)) out[kWeight] = WeightGradient(grad_inner, s.x);
    if (context.needs_input_grad(kX)) {
      out[kX] = grad_x;
      AddInputGradient(out[kX], grad_inner, s.weight);
    }
    return out;
  }
};

}  // namespace

at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings) {
  const auto& w = weights;
  const bool record = at::GradMode::is_enabled() &&
                      (x.requires_grad() || w.intermediate.weight.requires_grad() || w.intermediate.bias.requires_grad() || w.output.weight.requires_grad() ||
                       w.output.bias.requires_grad() || w.norm.weight.requires_grad() || w.norm.bias.requires_grad());
  return FeedForwardNode::apply(x, w.intermediate.weight, w.intermediate.bias, w.output.weight, w.output.bias, w.norm.weight, w.norm.bias, settings, record);
}

}  // namespace attune::training::cpu
