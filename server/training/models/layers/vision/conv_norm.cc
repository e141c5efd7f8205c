#include "server/training/models/layers/vision/conv_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/hardtanh.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

namespace attune::training {
at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const std::vector<int64_t> stride = {settings.stride, settings.stride}, padding = {settings.padding_height, settings.padding_width}, dilation = {1, 1};
  return at::conv2d(x, weight, bias, stride, padding, dilation, settings.groups);
}

at::Tensor BatchNorm::operator()(const at::Tensor& x, const ForwardMode& mode) const {
  const bool has_variance = x.numel() > x.size(1);
  const bool of_batch = mode.training && mode.train_batch_norm && weight.requires_grad() && has_variance;
  if (of_batch) {
    at::NoGradGuard no_grad;
    at::Tensor(batches_tracked).add_(1);
  }
  return at::batch_norm(x, weight, bias, running_mean, running_variance, of_batch, settings.momentum, settings.epsilon, /*cudnn_enabled=*/true);
}

at::Tensor ApplyNonlinearity(Nonlinearity nonlinearity, at::Tensor x) {
  const bool in_place = x.use_count() == 1 && !(x.is_leaf() && x.requires_grad());
  switch (nonlinearity) {
    case Nonlinearity::kRelu:
      return in_place ? at::relu_(x) : at::relu(x);
    case Nonlinearity::kRelu6:
      return in_place ? at::hardtanh_(x, 0, 6) : at::hardtanh(x, 0, 6);
    case Nonlinearity::kSilu:
      return in_place && !x.requires_grad() ? at::silu_(x) : at::silu(x);
    case Nonlinearity::kNone:
      break;
  }
  return x;
}

at::Tensor ConvNorm::operator()(const at::Tensor& x, const ForwardMode& mode) const {
  return ApplyNonlinearity(nonlinearity, norm(convolution(x), mode));
}

Convolution MakeConvolution(const ParameterSet& set, const std::string& name, const ConvSettings& settings) {
  return {set.Get(name + ".weight"), set.Has(name + ".bias") ? set.Get(name + ".bias") : at::Tensor(), settings};
}

BatchNorm MakeBatchNorm(const ParameterSet& set, const std::string& name, const NormSettings& settings) {
  return {set.Get(name + ".weight"),      set.Get(name + ".bias"),
          set.Get(name + ".running_mean"), set.Get(name + ".running_var"),
          set.Get(name + ".num_batches_tracked"), settings};
}

ConvNorm MakeConvNorm(const ParameterSet& set, const std::string& convolution, const std::string& norm, const ConvSettings& settings, const NormSettings& norm_settings,
                      Nonlinearity nonlinearity) {
  return {MakeConvolution(set, convolution, settings), MakeBatchNorm(set, norm, norm_settings), nonlinearity};
}

at::Tensor SqueezeExcitation::operator()(const at::Tensor& x) const {
  const at::Tensor means = at::adaptive_avg_pool2d(x, {1, 1});
  return x * at::sigmoid(excite(ApplyNonlinearity(Nonlinearity::kSilu, squeeze(means))));
}

at::Tensor StochasticDepth(const at::Tensor& x, double probability, const ForwardMode& mode) {
  if (!mode.training || probability <= 0) return x;
  const double kept = 1 - probability;
  std::vector<int64_t> shape(x.dim(), 1);
  shape[0] = x.size(0);
  return x * at::empty(shape, x.options()).bernoulli_(kept).div_(kept);
}

at::Tensor InvertedResidual::operator()(const at::Tensor& x, const ForwardMode& mode) const {
  at::Tensor y = x;
  for (const ConvNorm& convolution : convolutions) y = convolution(y, mode);
  if (squeeze_excitation) y = (*squeeze_excitation)(y);
  y = projection(y, mode);
  return residual ? StochasticDepth(y, stochastic_depth, mode) + x : y;
}

at::Tensor GlobalAveragePool(const at::Tensor& x) { return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1); }

at::Tensor GlobalPool(const at::Tensor& x, architectures::Pooling pooling) {
  return pooling == architectures::Pooling::kMax ? at::amax(x, {2, 3}) : GlobalAveragePool(x);
}

at::Tensor MaxPool(const at::Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  return at::max_pool2d(x, {kernel, kernel}, {stride, stride}, {padding, padding});
}

}  // namespace attune::training
