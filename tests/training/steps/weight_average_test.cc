#include "server/training/steps/weight_average.h"

#include <vector>

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;

double Value(const at::Tensor& tensor) { return tensor.view(-1)[0].item<double>(); }

struct Two {
  at::Tensor weight = at::full({2, 2}, 1.0, at::kFloat).requires_grad_();
  at::Tensor counter = at::full({}, 3, at::kLong);
  std::vector<NamedTensor> named() const { return {{"weight", weight}, {"counter", counter}}; }
  void Set(double value) { weight.detach().fill_(value); }
};

TEST(WeightAverage, WarmsUpAndThenDecays) {
  Two two;
  WeightAverage average(two.named(), 0.5);
  double expected = 1;
  const double decays[] = {2.0 / 11, 3.0 / 12, 4.0 / 13, 5.0 / 14, 6.0 / 15, 7.0 / 16, 8.0 / 17, 0.5, 0.5};  // (1 + t) / (10 + t), at most 0.5
  int64_t t = 0;
  for (const double decay : decays) {
    two.Set(static_cast<double>(++t) * 10);
    average.Update(t);
    expected = decay * expected + (1 - decay) * static_cast<double>(t) * 10;
    EXPECT_NEAR(Value(average.Averaged(two.named())[0].tensor), expected, 1e-4) << t;
    EXPECT_EQ(Value(two.weight), static_cast<double>(t) * 10) << "the tensors themselves stay";
  }
}

TEST(WeightAverage, WhatDoesNotMoveStaysToTheBit) {
  Two two;
  two.Set(0.1);
  WeightAverage average(two.named(), 0.999);
  for (int64_t t = 1; t < 50; ++t) average.Update(t);
  EXPECT_TRUE(average.Averaged(two.named())[0].tensor.equal(two.weight.detach()));
}

TEST(WeightAverage, SwapsBackAndForthAndAdopts) {
  Two two;
  WeightAverage average(two.named(), 0.9);
  two.Set(12);
  average.Update(1);
  const double mean = Value(average.Averaged(two.named())[0].tensor);
  EXPECT_NEAR(mean, 2.0 / 11 + 9.0 / 11 * 12, 1e-5);
  average.Swap();
  EXPECT_EQ(Value(two.weight), mean);
  average.Swap();
  EXPECT_EQ(Value(two.weight), 12);
  EXPECT_EQ(Value(average.Averaged(two.named())[0].tensor), mean);
  average.Adopt();
  EXPECT_EQ(Value(two.weight), mean);
  EXPECT_TRUE(two.weight.requires_grad());
}

TEST(WeightAverage, NamesWhatAResumedRunNeeds) {
  Two two;
  WeightAverage average(two.named(), 0.9);
  two.Set(5);
  average.Update(1);
  const std::vector<NamedTensor> raw = average.Raw();
  ASSERT_EQ(raw.size(), 1u) << "a counter has no average";
  EXPECT_EQ(raw[0].name, "raw.weight");
  EXPECT_EQ(Value(raw[0].tensor), 5);
  at::Tensor(raw[0].tensor).fill_(7);
  EXPECT_EQ(Value(two.weight), 7) << "loading restores";
  EXPECT_TRUE(average.Averaged(two.named())[1].tensor.is_same(two.counter));
}

}  // namespace
}  // namespace attune::training
