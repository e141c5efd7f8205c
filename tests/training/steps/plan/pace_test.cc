#include "server/training/steps/plan/pace.h"

#include <gtest/gtest.h>

namespace attune::training {
namespace {

TEST(RatePace, LetsOneThroughInEachInterval) {
  RatePace pace(absl::Milliseconds(200));
  const absl::Time start = absl::UnixEpoch();
  EXPECT_TRUE(pace.Due(start));
  EXPECT_FALSE(pace.Due(start + absl::Milliseconds(199)));
  EXPECT_TRUE(pace.Due(start + absl::Milliseconds(200)));
  EXPECT_FALSE(pace.Due(start + absl::Milliseconds(300)));
}

TEST(RatePace, AClockThatWasSetBackDoesNotSilenceIt) {
  RatePace pace(absl::Milliseconds(200));
  EXPECT_TRUE(pace.Due(absl::UnixEpoch() + absl::Hours(10)));
  EXPECT_TRUE(pace.Due(absl::UnixEpoch()));
  EXPECT_FALSE(pace.Due(absl::UnixEpoch() + absl::Milliseconds(100)));
}

TEST(BurstPace, LetsABurstThroughThenASteadyRate) {
  BurstPace pace(/*burst=*/5, /*per_second=*/20);
  absl::Time now = absl::UnixEpoch();
  int through = 0;
  for (int i = 0; i < 1000; ++i) {
    through += pace.Due(now) ? 1 : 0;
    now += absl::Milliseconds(1);
  }
  EXPECT_GE(through, 5 + 18);
  EXPECT_LE(through, 5 + 20);
}

TEST(RecentMean, IsExactUntilTheWindowIsFull) {
  RecentMean mean(4);
  EXPECT_TRUE(mean.empty());
  for (double value : {1.0, 2.0, 6.0}) mean.Add(value);
  EXPECT_DOUBLE_EQ(mean.value(), 3.0);
  mean.Add(3.0);
  mean.Add(7.0);
  EXPECT_DOUBLE_EQ(mean.value(), 4.0);  // 3 + (7 - 3) / 4
}

TEST(EstimateSeconds, AddsWhatIsLeft) {
  EXPECT_DOUBLE_EQ(EstimateSeconds({{.steps = 10, .cost_of_step = 1, .evaluations = 1}, {.steps = 100, .cost_of_step = 3, .evaluations = 2}}, 0.1, 5),
                   10 * 0.1 + 5 + 100 * 0.3 + 10);
  EXPECT_EQ(EstimateSeconds({{.steps = 10}}, 0, 5), 0);
}

}  // namespace
}  // namespace attune::training
