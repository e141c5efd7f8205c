// Convolution with BatchNorm and what convolutional architectures build of it, on [B, C, H, W]. Each module takes its tensors from a ParameterSet once and keeps them.
// Pure but for the running statistics; differentiable; not thread-safe.
//
//   ConvNorm stem = MakeConvNorm(set, "conv1", "bn1", {.stride = 2, .padding_height = 3, .padding_width = 3}, {}, Nonlinearity::kRelu);
//   x = stem(x, mode);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/architectures/pooling.h"
#include "server/training/models/layers/vision/parameter_set.h"
#include "server/training/models/model.h"

namespace attune::training {

struct ConvSettings {
  int64_t stride = 1;
  int64_t padding_height = 0;
  int64_t padding_width = 0;
  int64_t groups = 1;
};

struct Convolution {
  at::Tensor weight;  // [out, in / groups, kernel height, kernel width]
  at::Tensor bias;    // [out] or undefined
  ConvSettings settings;
  at::Tensor operator()(const at::Tensor& x) const;
};

struct NormSettings {
  double epsilon = 1e-5;
  double momentum = 0.1;  // the new batch's share of the running statistics
};

// Uses the batch's statistics, and moves the running ones, where mode.training && mode.train_batch_norm and its weight requires a gradient; otherwise the running ones,
// which it leaves alone. Also where a channel has one value alone (one image whose map is 1 x 1): that has no variance.
struct BatchNorm {
  at::Tensor weight, bias;                    // [C]
  at::Tensor running_mean, running_variance;  // [C]
  at::Tensor batches_tracked;                 // scalar int64
  NormSettings settings;
  at::Tensor operator()(const at::Tensor& x, const ForwardMode& mode) const;
};

enum class Nonlinearity { kNone, kRelu, kRelu6, kSilu };
// In place where the caller gives `x` up (std::move, or a temporary): no convolution, norm, product with a matrix or sum needs its result in the backward pass.
at::Tensor ApplyNonlinearity(Nonlinearity nonlinearity, at::Tensor x);

struct ConvNorm {
  Convolution convolution;
  BatchNorm norm;
  Nonlinearity nonlinearity = Nonlinearity::kNone;
  at::Tensor operator()(const at::Tensor& x, const ForwardMode& mode) const;
};

// Names are the modules' ("layer1.0.conv1"); a convolution has a bias where the layout has one.
Convolution MakeConvolution(const ParameterSet& set, const std::string& name, const ConvSettings& settings);
BatchNorm MakeBatchNorm(const ParameterSet& set, const std::string& name, const NormSettings& settings);
ConvNorm MakeConvNorm(const ParameterSet& set, const std::string& convolution, const std::string& norm, const ConvSettings& settings, const NormSettings& norm_settings,
                      Nonlinearity nonlinearity);

// Channels weighted by what their means say (Hu et al. 2018), as torchvision's SqueezeExcitation with SiLU and sigmoid.
struct SqueezeExcitation {
  Convolution squeeze, excite;  // 1 x 1
  at::Tensor operator()(const at::Tensor& x) const;
};

// Drops whole rows with `probability` and scales the others up (Huang et al. 2016); torchvision's mode "row". Without effect outside training. Draws from torch's default generator.
at::Tensor StochasticDepth(const at::Tensor& x, double probability, const ForwardMode& mode);

// MobileNetV2's block (Sandler et al. 2018): expansion if any, depthwise convolution, and a projection without nonlinearity; EfficientNet's has a squeeze-excitation before
// the projection and stochastic depth.
struct InvertedResidual {
  std::vector<ConvNorm> convolutions;  // before the projection
  std::optional<SqueezeExcitation> squeeze_excitation;
  ConvNorm projection;
  bool residual = false;
  double stochastic_depth = 0;
  at::Tensor operator()(const at::Tensor& x, const ForwardMode& mode) const;
};

at::Tensor GlobalAveragePool(const at::Tensor& x);  // [B, C, H, W] -> [B, C]
at::Tensor GlobalPool(const at::Tensor& x, architectures::Pooling pooling);  // likewise; the model's own is the average
at::Tensor MaxPool(const at::Tensor& x, int64_t kernel, int64_t stride, int64_t padding);

}  // namespace attune::training
