#include "server/base/counter_random.h"

#include <array>

#include <gtest/gtest.h>

namespace attune {
namespace {

TEST(CounterRandom, BelowStaysBelowAndReachesAll) {
  CounterRandom random(7, 0);
  std::array<int, 3> seen{};
  for (int i = 0; i < 1000; ++i) ++seen.at(random.Below(3));
  for (int count : seen) EXPECT_GT(count, 270);
}

TEST(CounterRandom, BelowIsUnbiasedForHugeBounds) {
  // Without rejection, the lower half of a bound of 3/4 * 2^64 would be drawn twice as often as the upper.
  CounterRandom random(7, 1);
  const uint64_t bound = 3ull << 62;
  int lower = 0;
  for (int i = 0; i < 10000; ++i) lower += random.Below(bound) < bound / 2;
  EXPECT_NEAR(lower, 5000, 200);
}

TEST(CounterRandom, UniformStaysInItsRangeAndFillsIt) {
  CounterRandom random(7, 2);
  double lowest = 1, highest = 0, sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const double value = random.Uniform();
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
    sum += value;
  }
  EXPECT_LT(lowest, 0.001);
  EXPECT_GT(highest, 0.999);
  EXPECT_NEAR(sum / 10000, 0.5, 0.01);
}

}  // namespace
}  // namespace attune
