// Time of a whole job from that of a few steps.
#include "server/training/steps/plan/job_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

PhaseWork Measured(int64_t steps, double seconds_per_step, double cost = 1) {
  return {.steps = steps, .cost_of_step = cost, .measured = true, .seconds_per_step = seconds_per_step};
}

TEST(EstimateJob, AddsStepsEvaluationsAndTables) {
  PhaseWork phase = Measured(100, 0.5);
  phase.evaluations = 3;
  phase.seconds_per_evaluation = 2;
  phase.table_seconds = 7;
  const TimeEstimate estimate = EstimateJob({phase}, {}, 2, /*more_seconds=*/4);
  EXPECT_THAT(estimate.seconds, ElementsAre(DoubleNear(63, 1e-9)));
  EXPECT_NEAR(estimate.total_seconds, 67, 1e-9);
  EXPECT_NEAR(estimate.low_seconds, 67 * 0.9, 1e-9) << "at least 10 % to each side";
  EXPECT_NEAR(estimate.high_seconds, 67 * 1.1, 1e-9);
}

TEST(EstimateJob, TheIntervalFollowsTheSpread) {
  PhaseWork phase = Measured(100, 1);
  phase.spread = 0.2;
  const TimeEstimate estimate = EstimateJob({Measured(100, 1), phase}, {}, 1, 0);
  EXPECT_NEAR(estimate.low_seconds, 200 - 32.9, 1e-6) << "of the phase whose steps vary";
  EXPECT_NEAR(estimate.high_seconds, 200 + 32.9, 1e-6);
  phase.spread = 3;
  EXPECT_EQ(EstimateJob({phase}, {}, 1, 0).low_seconds, 0) << "never negative";
}

TEST(EstimateJob, OtherPhasesAreScaledByTheNearest) {
  PhaseWork between;
  between.steps = 10;
  between.cost_of_step = 2;
  const TimeEstimate estimate = EstimateJob({Measured(10, 1, 1), between, between, Measured(10, 9, 3)}, {}, 1, 0);
  EXPECT_THAT(estimate.seconds_per_step, ElementsAre(1, 2, 6, 9));
}

TEST(EstimateJob, WithoutAMeasurementThereIsNoTime) {
  PhaseWork unknown;
  unknown.steps = 10;
  EXPECT_EQ(EstimateJob({unknown}, {}, 1, 0).total_seconds, 0);
}

TEST(EstimateJob, CheckpointsTakeTheirShareOfTheThreads) {
  PhaseWork phase = Measured(100, 1);
  phase.checkpoints = 4;
  // Each copies for 1 s and writes for 2 s beside training, which has the other of two threads; the last one has nothing beside it.
  EXPECT_NEAR(EstimateJob({phase}, {1, 2}, 2, 0).total_seconds, 100 + 4 * (1 + 1) + 1, 1e-9);
  // Where writing takes longer than the steps between, the next one waits.
  EXPECT_NEAR(EstimateJob({phase}, {0, 30}, 10, 0).total_seconds, 100 + 4 * 5 + 27, 1e-9);
  // A job that was not told how often saves in between, too.
  phase.save_interval_seconds = 10;
  EXPECT_NEAR(EstimateJob({phase}, {1, 2}, 2, 0).total_seconds, 100 + 10 * (1 + 1) + 1, 1e-9);
}

TEST(PhasesToMeasure, TakesAllOrThoseThatMatter) {
  EXPECT_THAT(PhasesToMeasure(3, 1, 4), ElementsAre(0, 1, 2));
  EXPECT_THAT(PhasesToMeasure(12, 5, 4), ElementsAre(0, 2, 5, 11));
  EXPECT_THAT(PhasesToMeasure(12, 11, 4), testing::AllOf(testing::SizeIs(4), testing::Contains(0), testing::Contains(11)));
}

TEST(RelativeSpread, IsDeviationOverMean) {
  EXPECT_NEAR(RelativeSpread({9, 11}), 0.1414, 1e-4);
  EXPECT_EQ(RelativeSpread({3}), 0);
  EXPECT_EQ(RelativeSpread({}), 0);
  EXPECT_EQ(RelativeSpread({0, 0}), 0);
}

}  // namespace
}  // namespace attune::training
