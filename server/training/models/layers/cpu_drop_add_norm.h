// The end of a CPU block on tensors: LayerNorm(dropout(product + bias) + residual) and its gradient, over cpu/residual_norm. Internal to this folder.
#pragma once

#include <ATen/ops/empty_like.h>

#include "server/training/models/layers/cpu/residual_norm.h"
#include "server/training/models/layers/cpu_products.h"
#include "server/training/models/layers/encoder_blocks.h"

namespace attune::training::cpu {

// What backward needs of the norm.
struct SavedNorm {
  at::Tensor weight;            // [H]
  at::Tensor sum, mean, scale;  // [rows, H], [rows], [rows]; undefined where nothing is recorded
};

inline DropoutSite HiddenDropout(const BlockSettings& settings) { return {settings.hidden_dropout, settings.seed, 2 * settings.site}; }

// G is settings.product_type. `product` [rows, H] has no bias yet; saved.weight is set.
template <class G>
at::Tensor DropAddNorm(const at::Tensor& product, const at::Tensor& bias, const at::Tensor& residual, const at::Tensor& norm_bias, const BlockSettings& settings, bool record,
                       SavedNorm& saved) {
  at::Tensor out = at::empty_like(residual);
  if (record) {
    saved.sum = at::empty_like(residual);
    saved.mean = EmptyFloats(residual.size(0));
    saved.scale = EmptyFloats(residual.size(0));
  }
  Run(ResidualNormForward<G>{.rows = residual.size(0),
                             .width = residual.size(1),
                             .input = product.const_data_ptr<G>(),
                             .bias = ConstFloats(bias),
                             .residual = ConstFloats(residual),
                             .weight = ConstFloats(saved.weight),
                             .shift = ConstFloats(norm_bias),
                             .epsilon = static_cast<float>(settings.norm_epsilon),
                             .dropout = HiddenDropout(settings),
                             .output = Floats(out),
                             .sum = Floats(saved.sum),
                             .mean = Floats(saved.mean),
                             .scale = Floats(saved.scale)});
  return out;
}

struct DropAddNormGradients {
  at::Tensor residual;    // [rows, H]
  at::Tensor product;     // [rows, H], in the type of products; the same tensor as `residual` where both are equal
  at::Tensor parameters;  // [3, H]: of the norm's weight and bias, and of the linear layer's bias
};

template <class G>
DropAddNormGradients DropAddNormBackward(const at::Tensor& grad, const BlockSettings& settings, const SavedNorm& saved) {
  const int64_t rows = grad.size(0), width = grad.size(1);
  const bool separate = settings.hidden_dropout > 0 || settings.product_type != at::kFloat;
  DropAddNormGradients out;
  out.residual = at::empty_like(grad);
  out.product = separate ? EmptyMatrix(rows, width, settings.product_type) : out.residual;
  out.parameters = EmptyMatrix(3, width, at::kFloat);
  Run(ResidualNormBackward<G>{.rows = rows,
                              .width = width,
                              .grad_output = ConstFloats(grad),
                              .sum = ConstFloats(saved.sum),
                              .mean = ConstFloats(saved.mean),
                              .scale = ConstFloats(saved.scale),
                              .weight = ConstFloats(saved.weight),
                              .dropout = HiddenDropout(settings),
                              .grad_residual = Floats(out.residual),
                              .grad_input = separate ? out.product.mutable_data_ptr<G>() : nullptr,
                              .grad_parameters = Floats(out.parameters)});
  return out;
}

}  // namespace attune::training::cpu
