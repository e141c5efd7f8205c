#include "server/training/tasks/class_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(BalancedWeights, AreScikitLearns) {
  // sklearn.utils.class_weight.compute_class_weight("balanced", ...)
  EXPECT_THAT(BalancedWeights({50, 150}, 200, false), ElementsAre(DoubleEq(2), DoubleEq(2.0 / 3)));
  EXPECT_THAT(BalancedWeights({10, 10, 10}, 30, false), ElementsAre(1, 1, 1));
}

TEST(BalancedWeights, AClassWithoutRowsIsNoneOfThem) {
  EXPECT_THAT(BalancedWeights({50, 0, 150}, 200, false), ElementsAre(DoubleEq(2), 0, DoubleEq(2.0 / 3)));
}

TEST(BalancedWeights, OfPositivesAreTheRatioOfNegativesToThem) {
  EXPECT_THAT(BalancedWeights({1, 50, 100, 0}, 100, true), ElementsAre(99, 1, 1, 0));
  // The ratio of scikit-learn's weights of "has it" and "has it not".
  const std::vector<double> binary = BalancedWeights({80, 20}, 100, false);
  EXPECT_DOUBLE_EQ(BalancedWeights({20}, 100, true)[0], binary[1] / binary[0]);
}

}  // namespace
}  // namespace attune::training
