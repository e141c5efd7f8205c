#include "server/training/steps/plan/best_tracker.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(BestTracker, KeepsTheBestAndTiesDoNotCount) {
  BestTracker tracker("accuracy", true);
  EXPECT_TRUE(tracker.Observe(10, {{"accuracy", 0.5}}).best);
  EXPECT_FALSE(tracker.Observe(20, {{"accuracy", 0.5}}).best);
  EXPECT_TRUE(tracker.Observe(30, {{"accuracy", 0.6}}).best);
  EXPECT_FALSE(tracker.Observe(40, {{"accuracy", 0.4}}).best);
  EXPECT_EQ(tracker.state().best_step, 30);
  EXPECT_EQ(tracker.state().best_value, 0.6);
}

TEST(BestTracker, SmallerIsBetterForLosses) {
  BestTracker tracker("loss", false);
  EXPECT_TRUE(tracker.Observe(1, {{"loss", 2.0}}).best);
  EXPECT_TRUE(tracker.Observe(2, {{"loss", 1.0}}).best);
  EXPECT_FALSE(tracker.Observe(3, {{"loss", 1.5}}).best);
}

TEST(BestTracker, NanIsNeverBest) {
  for (bool larger : {true, false}) {
    BestTracker tracker("pearson", larger);
    EXPECT_FALSE(tracker.Observe(1, {{"pearson", kNan}}).best);
    EXPECT_TRUE(tracker.Observe(2, {{"pearson", 0.1}}).best);
    EXPECT_FALSE(tracker.Observe(3, {{"pearson", kNan}}).best);
    EXPECT_EQ(tracker.state().best_step, 2);
  }
}

TEST(BestTracker, PatienceCountsEvaluationsWithoutImprovement) {
  BestTracker tracker("accuracy", true);
  tracker.SetPatience(2);
  tracker.BeginPhase();
  EXPECT_FALSE(tracker.Observe(1, {{"accuracy", 0.5}}).phase_ends);
  EXPECT_FALSE(tracker.Observe(2, {{"accuracy", 0.4}}).phase_ends);
  EXPECT_FALSE(tracker.Observe(3, {{"accuracy", 0.6}}).phase_ends);
  EXPECT_FALSE(tracker.Observe(4, {{"accuracy", 0.6}}).phase_ends);
  EXPECT_TRUE(tracker.Observe(5, {{"accuracy", 0.55}}).phase_ends);
}

TEST(BestTracker, WithoutPatienceAPhaseNeverEnds) {
  BestTracker tracker("accuracy", true);
  tracker.BeginPhase();
  for (int step = 0; step < 50; ++step) EXPECT_FALSE(tracker.Observe(step, {{"accuracy", 0.1}}).phase_ends);
}

TEST(BestTracker, PatienceComparesWithinThePhase) {
  BestTracker tracker("accuracy", true);
  tracker.SetPatience(1);
  tracker.BeginPhase();
  EXPECT_TRUE(tracker.Observe(1, {{"accuracy", 0.9}}).best);
  tracker.BeginPhase();
  Verdict verdict = tracker.Observe(2, {{"accuracy", 0.7}});  // worse than the phase before, but the first of this one
  EXPECT_FALSE(verdict.best);
  EXPECT_FALSE(verdict.phase_ends);
  verdict = tracker.Observe(3, {{"accuracy", 0.8}});
  EXPECT_FALSE(verdict.best);
  EXPECT_FALSE(verdict.phase_ends);
  EXPECT_TRUE(tracker.Observe(4, {{"accuracy", 0.8}}).phase_ends);
}

TEST(BestTracker, ARestoredTrackerDecidesAsTheOriginal) {
  BestTracker first("accuracy", true);
  first.SetPatience(2);
  first.BeginPhase();
  first.Observe(1, {{"accuracy", 0.5}});
  first.Observe(2, {{"accuracy", 0.4}});
  BestTracker second("accuracy", true);
  second.SetPatience(2);
  second.Restore(first.state());
  EXPECT_TRUE(second.Observe(3, {{"accuracy", 0.45}}).phase_ends);
  EXPECT_EQ(second.state().best_step, 1);
}

TEST(BestTracker, ForgettingABestThatCouldNotBeSaved) {
  BestTracker tracker("accuracy", true);
  tracker.Observe(1, {{"accuracy", 0.5}});
  const BestState before = tracker.state();
  tracker.Observe(2, {{"accuracy", 0.9}});
  tracker.ForgetBest(before);
  EXPECT_EQ(tracker.state().best_step, 1);
  EXPECT_TRUE(tracker.Observe(3, {{"accuracy", 0.6}}).best);
}

TEST(BestTracker, AnUnknownMetricNamesThoseThatExist) {
  BestTracker tracker("acuracy", true);
  try {
    tracker.Observe(1, {{"accuracy", 0.5}, {"loss", 1.0}});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("accuracy, loss"));
  }
}

}  // namespace
}  // namespace attune::training
