// Adapters against autograd: what TakeGradients makes of the gradient of W is what autograd finds for A and B themselves.
#include "server/training/steps/lora.h"

#include <cmath>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tanh.h>
#include <gtest/gtest.h>

#include "server/training/steps/precision.h"

namespace attune::training {
namespace {

constexpr LoraOptions kOptions = {.rank = 3, .alpha = 6, .seed = 5};
constexpr double kScale = 2;

// A weight with adapters, and what a loss makes of it.
struct GradientCase {
  const char* name;
  std::vector<int64_t> weight, input;
  int64_t groups;      // of a convolution
  bool channels_last;  // of its weight
};

at::Tensor LossOf(const GradientCase& c, const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor y = weight.dim() == 2 ? at::linear(x, weight) : at::conv2d(x, weight, {}, 1, 1, 1, c.groups);
  return at::tanh(y).square().sum();
}

class LoraGradients : public ::testing::TestWithParam<GradientCase> {};

TEST_P(LoraGradients, AreThoseOfAutograd) {
  const GradientCase& c = GetParam();
  SeedGenerators(1);
  at::Tensor weight = at::randn(c.weight);
  if (c.channels_last) weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor base = weight.clone();
  const at::Tensor x = at::randn(c.input);
  weight.requires_grad_();
  Lora lora(kOptions, {{"layer.weight", weight}}, {true});
  std::vector<NamedTensor> state = lora.State();
  ASSERT_EQ(state[1].name, "lora_B.layer.weight");
  {
    at::NoGradGuard no_grad;
    state[1].tensor.copy_(at::randn(state[1].tensor.sizes()));
  }
  lora.WriteWeights();
  LossOf(c, x, weight).backward();
  LossOf(c, x, weight).backward();  // gradients of two batches add up
  lora.TakeGradients();

  at::Tensor a = state[0].tensor.detach().clone().requires_grad_();
  at::Tensor b = state[1].tensor.detach().clone().requires_grad_();
  const at::Tensor merged = base + (at::mm(b, a) * kScale).view(c.weight);
  EXPECT_TRUE(at::allclose(weight, merged, 1e-5, 1e-6));
  (LossOf(c, x, merged) * 2).backward();
  EXPECT_TRUE(at::allclose(state[0].tensor.grad(), a.grad(), 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(state[1].tensor.grad(), b.grad(), 1e-4, 1e-4));
  EXPECT_GT(a.grad().abs().max().item<float>(), 0.01);
  EXPECT_GT(b.grad().abs().max().item<float>(), 0.01);
  EXPECT_FALSE(weight.grad().defined()) << "its memory is free again";
}

INSTANTIATE_TEST_SUITE_P(Layers, LoraGradients,
                         ::testing::Values(GradientCase{"linear", {5, 7}, {4, 7}, 1, false}, GradientCase{"pointwise", {6, 4, 1, 1}, {2, 4, 5, 5}, 1, false},
                                           GradientCase{"convolution", {6, 4, 3, 3}, {2, 4, 5, 5}, 1, false},
                                           GradientCase{"grouped", {6, 2, 3, 3}, {2, 4, 5, 5}, 2, false},
                                           GradientCase{"channels_last", {6, 4, 3, 3}, {2, 4, 5, 5}, 1, true}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Lora, StartsAsTheBaseModel) {
  at::Tensor weight = at::randn({5, 7});
  const at::Tensor base = weight.clone();
  weight.requires_grad_();
  Lora lora(kOptions, {{"layer.weight", weight}}, {true});
  lora.WriteWeights();
  EXPECT_TRUE(weight.detach().equal(base));
  EXPECT_LE(lora.State()[0].tensor.abs().max().item<double>(), 1 / std::sqrt(7.0));
  EXPECT_GT(lora.State()[0].tensor.std().item<double>(), 0.1);
  EXPECT_EQ(lora.State()[1].tensor.abs().max().item<float>(), 0);
  EXPECT_EQ(lora.weight_count(), 1);
  EXPECT_EQ(lora.value_count(), 3 * 7 + 5 * 3);
}

TEST(Lora, WhatAnAdapterStartsFromDependsOnSeedAndPlaceAlone) {
  const std::vector<Parameter> parameters = {{"a.weight", at::randn({4, 6})}, {"b.weight", at::randn({4, 6})}};
  const at::Tensor both = Lora(kOptions, parameters, {true, true}).State()[2].tensor;
  EXPECT_TRUE(Lora(kOptions, parameters, {false, true}).State()[0].tensor.equal(both));
  EXPECT_FALSE(Lora(kOptions, parameters, {true, true}).State()[0].tensor.equal(both));
  LoraOptions other = kOptions;
  other.seed = 6;
  EXPECT_FALSE(Lora(other, parameters, {false, true}).State()[0].tensor.equal(both));
}

TEST(Lora, AWeightThatDoesNotLearnIsLeftAlone) {
  at::Tensor weight = at::randn({5, 7});
  Lora lora(kOptions, {{"layer.weight", weight}}, {true});
  const at::Tensor before = weight.clone();
  lora.State()[1].tensor.detach().fill_(1);
  lora.TakeGradients();
  lora.WriteWeights();
  EXPECT_TRUE(weight.equal(before));
  EXPECT_FALSE(lora.State()[0].tensor.grad().defined());
}

TEST(Lora, TheOptimizerLearnsBothFactorsWithTheWeightsRate) {
  const at::Tensor weight = at::randn({5, 7});
  const Lora lora(kOptions, {{"layer.weight", weight}, {"other.weight", at::randn({2, 2})}}, {true, false});
  const std::vector<OptimizedParameter> learning = lora.Learning({"layer.weight", weight, 0.5, true});
  ASSERT_EQ(learning.size(), 2u);
  EXPECT_EQ(learning[0].name, "layer.weight.lora_A");
  EXPECT_EQ(learning[1].name, "layer.weight.lora_B");
  for (const OptimizedParameter& each : learning) EXPECT_EQ(each.rate, 0.5);
  EXPECT_TRUE(lora.Has("layer.weight"));
  EXPECT_FALSE(lora.Has("other.weight"));
  EXPECT_THROW(lora.Learning({"other.weight", weight}), std::logic_error);
  EXPECT_THROW(Lora(kOptions, {{"bias", at::randn({3})}}, {true}), std::invalid_argument);
}

}  // namespace
}  // namespace attune::training
