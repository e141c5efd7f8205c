// The line through measured passes, and what fits by it.
#include "server/training/steps/plan/memory_fit.h"

#include <gtest/gtest.h>

namespace attune::training {
namespace {

TEST(MemoryFit, FindsALineExactly) {
  const MemoryFit fit = FitMemory({{1, 103}, {2, 106}, {4, 112}, {8, 124}});
  EXPECT_NEAR(fit.base_bytes, 100, 1e-9);
  EXPECT_NEAR(fit.bytes_per_unit, 3, 1e-9);
  EXPECT_NEAR(fit.At(32), 196, 1e-9);
}

TEST(MemoryFit, SmallPassesThatHideBelowFreeMemoryCountLittle) {
  // Up to 4 rows nothing new is taken; from there on 10 a row.
  const MemoryFit fit = FitMemory({{1, 200}, {2, 200}, {4, 200}, {8, 240}, {16, 320}, {32, 480}});
  EXPECT_NEAR(fit.At(64), 800, 20);
  EXPECT_NEAR(fit.bytes_per_unit, 10, 0.5);
}

TEST(MemoryFit, IsFlatWithoutASecondPoint) {
  EXPECT_EQ(FitMemory({{7, 500}}).At(1000), 500);
  EXPECT_EQ(FitMemory({{7, 500}, {7, 500}}).bytes_per_unit, 0);
  EXPECT_EQ(FitMemory({{0, 500}}).At(3), 500) << "a batch without tokens";
}

TEST(MemoryFit, NeverFalls) { EXPECT_EQ(FitMemory({{1, 300}, {2, 200}}).bytes_per_unit, 0); }

TEST(LargestBatch, IsTheLastThatFits) {
  const MemoryFit fit = {100, 10};
  const auto rows = [](int64_t n) { return static_cast<double>(n); };
  EXPECT_EQ(LargestBatch(fit, 200, 32, rows), 10);
  EXPECT_EQ(LargestBatch(fit, 199, 32, rows), 9);
  EXPECT_EQ(LargestBatch(fit, 1000, 32, rows), 32);
  EXPECT_EQ(LargestBatch(fit, 110, 32, rows), 1);
  EXPECT_EQ(LargestBatch(fit, 109, 32, rows), 0);
  EXPECT_EQ(LargestBatch(fit, 0, 32, rows), 32) << "no limit";
  EXPECT_EQ(LargestBatch(fit, 200, 0, rows), 0);
  EXPECT_EQ(LargestBatch(fit, 200, 32, [](int64_t n) { return static_cast<double>(5 * n); }), 2) << "units are not rows";
}

TEST(AccumulationFor, KeepsTheEffectiveBatchExactly) {
  EXPECT_EQ(AccumulationFor(32, 1, 8), 4);
  EXPECT_EQ(AccumulationFor(32, 1, 10), 4);
  EXPECT_EQ(AccumulationFor(32, 2, 10), 8);
  EXPECT_EQ(AccumulationFor(32, 3, 32), 3) << "it fits as it is";
  EXPECT_EQ(AccumulationFor(30, 1, 7), 5);
  EXPECT_EQ(AccumulationFor(31, 1, 16), 31) << "a prime";
  EXPECT_EQ(AccumulationFor(32, 1, 0), 0);
}

}  // namespace
}  // namespace attune::training
