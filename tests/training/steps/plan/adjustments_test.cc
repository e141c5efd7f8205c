#include "server/training/steps/plan/adjustments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Adjustment Rate(double scale, int64_t after_step = -1) { return {.after_step = after_step, .live_settings = {.learning_rate_scale = scale}}; }
Adjustment Parts(int parts, int64_t after_step = -1) { return {.after_step = after_step, .batch_parts = parts}; }

TEST(Adjustments, WhatIsKnownIsRepeatedAtItsStepAndNotReportedAgain) {
  Adjustments adjustments({Rate(0.5, 10), Parts(2, 20)});
  EXPECT_FALSE(adjustments.Advance(9, std::nullopt).any);
  EXPECT_EQ(adjustments.settings(), LiveSettings());
  const Adjustments::Change change = adjustments.Advance(10, std::nullopt);
  EXPECT_TRUE(change.any);
  EXPECT_THAT(change.news, IsEmpty());
  EXPECT_EQ(adjustments.settings().learning_rate_scale, 0.5);
  EXPECT_EQ(adjustments.parts(), 1);
  EXPECT_TRUE(adjustments.Advance(25, std::nullopt).any);
  EXPECT_EQ(adjustments.parts(), 2);
}

TEST(Adjustments, WhatIsAskedTakesEffectAtOnce) {
  Adjustments adjustments({});
  const Adjustments::Change change = adjustments.Advance(7, LiveSettings{.n_epochs = 9});
  EXPECT_TRUE(change.any);
  EXPECT_THAT(change.news, ElementsAre(Adjustment{.after_step = 7, .live_settings = {.n_epochs = 9}}));
  EXPECT_FALSE(adjustments.Advance(8, std::nullopt).any);
  const Adjustments::Change same = adjustments.Advance(9, LiveSettings{.n_epochs = 9});
  EXPECT_FALSE(same.any) << "nothing is different";
  EXPECT_EQ(same.news.size(), 1u) << "but whoever asked waits for an answer";
}

// Otherwise a run that was killed after the first change would make the second one before it.
TEST(Adjustments, NewsWaitUntilAllThatIsKnownHasTakenEffect) {
  Adjustments adjustments({Rate(0.5, 10), Rate(0.25)});
  EXPECT_FALSE(adjustments.Advance(5, std::nullopt).any);
  EXPECT_FALSE(adjustments.Advance(6, LiveSettings{.learning_rate_scale = 0.125}).any);
  EXPECT_THAT(adjustments.Advance(10, std::nullopt).news, ElementsAre(Rate(0.125, 10))) << "the newer one took the place of the older one that waited";
  EXPECT_EQ(adjustments.settings().learning_rate_scale, 0.125);
}

TEST(Adjustments, WaitingOnesAreReported) {
  Adjustments adjustments({Parts(4), Rate(2)});
  EXPECT_THAT(adjustments.Advance(0, std::nullopt).news, ElementsAre(Parts(4, 0), Rate(2, 0)));
  EXPECT_EQ(adjustments.parts(), 4);
}

TEST(Adjustments, PartsOnlyBecomeMore) {
  Adjustments adjustments({Parts(2, 30)});
  EXPECT_EQ(adjustments.Divide(3, 4), Parts(4, 3)) << "sooner than in the attempt before";
  EXPECT_FALSE(adjustments.Advance(30, std::nullopt).any);
  EXPECT_EQ(adjustments.parts(), 4);
}

}  // namespace
}  // namespace attune::training
