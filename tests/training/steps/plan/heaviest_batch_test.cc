// Which batch of a job's orders is the largest.
#include "server/training/steps/plan/heaviest_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;

TEST(HeaviestBatches, SearchesAllOrders) {
  const HeaviestBatches heaviest({5, 1, 9, 1, 9, 2}, {{0, 1, 2, 3, 4, 5}, {1, 3, 2, 4, 0, 5}});
  EXPECT_THAT(heaviest.Rows(2), ElementsAre(2, 4)) << "of the second order";
  EXPECT_EQ(heaviest.Tokens(2), 18);
  EXPECT_THAT(heaviest.Rows(1), ElementsAre(2)) << "the first of equal ones";
  EXPECT_EQ(heaviest.Tokens(6), 27);
}

TEST(HeaviestBatches, CutsAsEpochsAreCut) {
  const HeaviestBatches heaviest({1, 1, 1, 7}, {{0, 1, 2, 3}});
  EXPECT_THAT(heaviest.Rows(3), ElementsAre(3)) << "the last batch has fewer rows, and is the heaviest all the same";
  EXPECT_THAT(heaviest.Rows(10), ElementsAre(0, 1, 2, 3)) << "no more than there are";
}

TEST(HeaviestBatches, RowsMayComeTwice) {
  const HeaviestBatches heaviest({1, 4}, {{1, 1, 0}});
  EXPECT_EQ(heaviest.Tokens(2), 8);
}

}  // namespace
}  // namespace attune::training
