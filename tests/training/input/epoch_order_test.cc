#include "server/training/input/epoch_order.h"

#include <algorithm>
#include <map>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;

TEST(EpochOrder, IsAPermutation) {
  for (int64_t rows : {0, 1, 2, 7, 1000}) {
    std::vector<int64_t> order = EpochOrder(42, 3, rows);
    std::sort(order.begin(), order.end());
    std::vector<int64_t> all(rows);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order, all);
  }
}

// Checkpoints are resumed by other builds on other machines: these values may never change.
TEST(EpochOrder, IsTheSameEverywhere) {
  EXPECT_THAT(EpochOrder(42, 0, 10), ElementsAre(8, 7, 9, 6, 3, 0, 1, 2, 4, 5));
  EXPECT_THAT(EpochOrder(42, 1, 10), ElementsAre(3, 9, 7, 6, 0, 1, 2, 5, 8, 4));
}

TEST(EpochOrder, DiffersBySeedAndEpoch) {
  EXPECT_NE(EpochOrder(1, 0, 100), EpochOrder(2, 0, 100));
  EXPECT_NE(EpochOrder(1, 0, 100), EpochOrder(1, 1, 100));
  // Neither may be a mere shift of the other's stream.
  EXPECT_NE(EpochOrder(1, 1, 100), EpochOrder(2, 0, 100));
}

TEST(EpochOrder, EachOrderIsAboutEquallyLikely) {
  std::map<std::vector<int64_t>, int> seen;
  constexpr int kDraws = 24000;
  for (int seed = 0; seed < kDraws; ++seed) ++seen[EpochOrder(seed, 0, 4)];
  ASSERT_EQ(seen.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : seen) chi_squared += (count - kDraws / 24.0) * (count - kDraws / 24.0) / (kDraws / 24.0);
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom, p = 0.001
}

TEST(StepSeed, DiffersByStepAndFromOrders) {
  EXPECT_NE(StepSeed(1, 0), StepSeed(1, 1));
  EXPECT_NE(StepSeed(1, 0), StepSeed(2, 0));
  EXPECT_EQ(StepSeed(1, 5), StepSeed(1, 5));
}

}  // namespace
}  // namespace attune::training
