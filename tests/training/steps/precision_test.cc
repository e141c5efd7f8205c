#include "server/training/steps/precision.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

const c10::Device kCpu(c10::kCPU);

TEST(AutocastGuard, MatrixProductsAreBf16WhileItLives) {
  const at::Tensor x = at::ones({2, 4}), w = at::ones({3, 4});
  {
    AutocastGuard guard(kCpu, Precision::kBf16);
    EXPECT_EQ(at::linear(x, w).scalar_type(), at::kBFloat16);
    AutocastGuard nested(kCpu, Precision::kBf16);
    EXPECT_EQ(at::linear(x, w).scalar_type(), at::kBFloat16);
  }
  EXPECT_EQ(at::linear(x, w).scalar_type(), at::kFloat);
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}

TEST(AutocastGuard, Fp32ChangesNothing) {
  AutocastGuard guard(kCpu, Precision::kFp32);
  EXPECT_EQ(at::linear(at::ones({2, 4}), at::ones({3, 4})).scalar_type(), at::kFloat);
}

TEST(AutocastGuard, ChangedWeightsAreNotTakenFromItsCache) {
  at::Tensor w = at::ones({1, 1}).requires_grad_();
  for (float expected : {1.0f, 2.0f}) {
    w.detach().fill_(expected);
    AutocastGuard guard(kCpu, Precision::kBf16);
    EXPECT_EQ(at::linear(at::ones({1, 1}), w).item<float>(), expected);
  }
}

TEST(SeedGenerators, EqualSeedsGiveEqualNumbers) {
  SeedGenerators(5);
  const at::Tensor a = at::rand({8});
  SeedGenerators(6);
  EXPECT_FALSE(at::rand({8}).equal(a));
  SeedGenerators(5);
  EXPECT_TRUE(at::rand({8}).equal(a));
}

}  // namespace
}  // namespace attune::training
