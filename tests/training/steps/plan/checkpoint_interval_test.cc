#include "server/training/steps/plan/checkpoint_interval.h"

#include <gtest/gtest.h>

namespace attune::training {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

TEST(CheckpointInterval, TakesAFiftiethOfTheTime) {
  CheckpointInterval interval(kStart);
  EXPECT_FALSE(interval.Due(kStart + absl::Seconds(99), absl::Seconds(2)));
  EXPECT_TRUE(interval.Due(kStart + absl::Seconds(100), absl::Seconds(2)));
  interval.Saved(kStart + absl::Seconds(100));
  EXPECT_FALSE(interval.Due(kStart + absl::Seconds(199), absl::Seconds(2)));
  EXPECT_TRUE(interval.Due(kStart + absl::Seconds(200), absl::Seconds(2)));
}

TEST(CheckpointInterval, IsToldOfBeforeItComes) {
  const CheckpointInterval interval(kStart);
  EXPECT_FALSE(interval.Nears(kStart + absl::Seconds(74), absl::Seconds(2)));
  EXPECT_TRUE(interval.Nears(kStart + absl::Seconds(75), absl::Seconds(2)));
}

TEST(CheckpointInterval, CheapOnesAreNotMadeAllTheTime) {
  CheckpointInterval interval(kStart);
  EXPECT_FALSE(interval.Due(kStart + absl::Seconds(29), absl::Milliseconds(1)));
  EXPECT_TRUE(interval.Due(kStart + absl::Seconds(30), absl::Milliseconds(1)));
  EXPECT_TRUE(interval.Due(kStart + absl::Seconds(30), absl::ZeroDuration())) << "the first";
}

}  // namespace
}  // namespace attune::training
