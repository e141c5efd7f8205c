#include "server/training/steps/plan/lr_range.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace attune::training {
namespace {

// A loss as range tests show it: flat, then falling around `falls` (a logistic in the decimal logarithm of the rate), then rising from `rises` on.
double LossAt(double rate, double falls, double rises) {
  const double x = std::log10(rate);
  return 0.5 + 2 / (1 + std::exp(4 * (x - std::log10(falls)))) + std::pow(10, 3 * (x - std::log10(rises)));
}

TEST(LrRange, RatesGrowByTheSameFactor) {
  const LrRange range({.least = 1e-6, .most = 10, .steps = 50});
  EXPECT_DOUBLE_EQ(range.RateAt(0), 1e-6);
  EXPECT_NEAR(range.RateAt(49), 10, 1e-12);
  const double factor = range.RateAt(1) / range.RateAt(0);
  for (int64_t step = 1; step < 50; ++step) EXPECT_NEAR(range.RateAt(step) / range.RateAt(step - 1), factor, 1e-9);
}

TEST(LrRange, SuggestsWhereTheLossFallsAndATenthOfWhereItIsLeast) {
  for (int64_t steps : {100, 1000}) {
    LrRange range({.least = 1e-7, .most = 1, .steps = steps});
    int64_t step = 0;
    while (step < steps && range.Add(LossAt(range.RateAt(step), 1e-4, 0.1))) ++step;
    const LrSuggestion suggestion = range.Suggest();
    // Means over the last tenth of the steps lag behind by up to that share of the seven decades.
    EXPECT_GT(suggestion.steepest, 0.5e-4) << steps;
    EXPECT_LT(suggestion.steepest, 1e-3) << steps;
    EXPECT_GT(suggestion.tenth_of_minimum, 1e-4) << steps;
    EXPECT_LT(suggestion.tenth_of_minimum, 2e-2) << steps;
  }
}

TEST(LrRange, EndsWhenTheSmoothedLossExceedsFourTimesItsLeast) {
  LrRange range({.least = 1e-7, .most = 1, .steps = 20});  // means over two steps
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(range.Add(1));
  EXPECT_TRUE(range.Add(7)) << "the mean is 4, and does not exceed it";
  EXPECT_DOUBLE_EQ(range.smoothed(), 4);
  EXPECT_FALSE(range.Add(7));
}

TEST(LrRange, OneHighLossIsSmoothedAway) {
  LrRange range({.least = 1e-7, .most = 1, .steps = 100});
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(range.Add(1));
  EXPECT_TRUE(range.Add(20));
  EXPECT_FALSE(range.Add(100));
}

TEST(LrRange, WithoutAFallNothingIsSuggested) {
  LrRange rising({.least = 1e-7, .most = 1, .steps = 100});
  for (int i = 0; i < 100; ++i) rising.Add(1 + 0.01 * i);
  EXPECT_EQ(rising.Suggest().steepest, 0);
  EXPECT_EQ(rising.Suggest().tenth_of_minimum, 0);
  LrRange flat({.least = 1e-7, .most = 1, .steps = 100});
  for (int i = 0; i < 100; ++i) flat.Add(1);
  EXPECT_EQ(flat.Suggest().steepest, 0);
  EXPECT_EQ(LrRange({.steps = 10}).Suggest().steepest, 0) << "no step at all";
}

}  // namespace
}  // namespace attune::training
