#include "server/training/steps/plan/lr_schedule.h"

#include <gtest/gtest.h>

namespace attune::training {
namespace {

struct Row {
  ScheduleKind kind;
  int64_t step, warmup, total;
  double factor;
};

// From transformers 5.23: get_{linear,cosine,constant}_schedule_with_warmup on an SGD of rate 1.
constexpr Row kRows[] = {
    {ScheduleKind::kLinear, 0, 0, 10, 1.0},
    {ScheduleKind::kLinear, 1, 0, 10, 0.9},
    {ScheduleKind::kLinear, 2, 0, 10, 0.8},
    {ScheduleKind::kLinear, 3, 0, 10, 0.7},
    {ScheduleKind::kLinear, 5, 0, 10, 0.5},
    {ScheduleKind::kLinear, 9, 0, 10, 0.1},
    {ScheduleKind::kLinear, 10, 0, 10, 0.0},
    {ScheduleKind::kLinear, 0, 3, 10, 0.0},
    {ScheduleKind::kLinear, 1, 3, 10, 0.3333333333333333},
    {ScheduleKind::kLinear, 2, 3, 10, 0.6666666666666666},
    {ScheduleKind::kLinear, 3, 3, 10, 1.0},
    {ScheduleKind::kLinear, 5, 3, 10, 0.7142857142857143},
    {ScheduleKind::kLinear, 9, 3, 10, 0.14285714285714285},
    {ScheduleKind::kLinear, 10, 3, 10, 0.0},
    {ScheduleKind::kLinear, 0, 10, 10, 0.0},
    {ScheduleKind::kLinear, 1, 10, 10, 0.1},
    {ScheduleKind::kLinear, 2, 10, 10, 0.2},
    {ScheduleKind::kLinear, 3, 10, 10, 0.3},
    {ScheduleKind::kLinear, 5, 10, 10, 0.5},
    {ScheduleKind::kLinear, 9, 10, 10, 0.9},
    {ScheduleKind::kLinear, 10, 10, 10, 0.0},
    {ScheduleKind::kLinear, 0, 5, 1, 0.0},
    {ScheduleKind::kLinear, 1, 5, 1, 0.2},
    {ScheduleKind::kCosine, 0, 0, 10, 1.0},
    {ScheduleKind::kCosine, 1, 0, 10, 0.9755282581475768},
    {ScheduleKind::kCosine, 2, 0, 10, 0.9045084971874737},
    {ScheduleKind::kCosine, 3, 0, 10, 0.7938926261462366},
    {ScheduleKind::kCosine, 5, 0, 10, 0.5},
    {ScheduleKind::kCosine, 9, 0, 10, 0.024471741852423234},
    {ScheduleKind::kCosine, 10, 0, 10, 0.0},
    {ScheduleKind::kCosine, 0, 3, 10, 0.0},
    {ScheduleKind::kCosine, 1, 3, 10, 0.3333333333333333},
    {ScheduleKind::kCosine, 2, 3, 10, 0.6666666666666666},
    {ScheduleKind::kCosine, 3, 3, 10, 1.0},
    {ScheduleKind::kCosine, 5, 3, 10, 0.8117449009293668},
    {ScheduleKind::kCosine, 9, 3, 10, 0.04951556604879048},
    {ScheduleKind::kCosine, 10, 3, 10, 0.0},
    {ScheduleKind::kCosine, 0, 10, 10, 0.0},
    {ScheduleKind::kCosine, 1, 10, 10, 0.1},
    {ScheduleKind::kCosine, 2, 10, 10, 0.2},
    {ScheduleKind::kCosine, 3, 10, 10, 0.3},
    {ScheduleKind::kCosine, 5, 10, 10, 0.5},
    {ScheduleKind::kCosine, 9, 10, 10, 0.9},
    {ScheduleKind::kCosine, 10, 10, 10, 1.0},
    {ScheduleKind::kCosine, 0, 5, 1, 0.0},
    {ScheduleKind::kCosine, 1, 5, 1, 0.2},
    {ScheduleKind::kConstant, 0, 0, 10, 1.0},
    {ScheduleKind::kConstant, 1, 0, 10, 1.0},
    {ScheduleKind::kConstant, 2, 0, 10, 1.0},
    {ScheduleKind::kConstant, 3, 0, 10, 1.0},
    {ScheduleKind::kConstant, 5, 0, 10, 1.0},
    {ScheduleKind::kConstant, 9, 0, 10, 1.0},
    {ScheduleKind::kConstant, 10, 0, 10, 1.0},
    {ScheduleKind::kConstant, 0, 3, 10, 0.0},
    {ScheduleKind::kConstant, 1, 3, 10, 0.3333333333333333},
    {ScheduleKind::kConstant, 2, 3, 10, 0.6666666666666666},
    {ScheduleKind::kConstant, 3, 3, 10, 1.0},
    {ScheduleKind::kConstant, 5, 3, 10, 1.0},
    {ScheduleKind::kConstant, 9, 3, 10, 1.0},
    {ScheduleKind::kConstant, 10, 3, 10, 1.0},
    {ScheduleKind::kConstant, 0, 10, 10, 0.0},
    {ScheduleKind::kConstant, 1, 10, 10, 0.1},
    {ScheduleKind::kConstant, 2, 10, 10, 0.2},
    {ScheduleKind::kConstant, 3, 10, 10, 0.3},
    {ScheduleKind::kConstant, 5, 10, 10, 0.5},
    {ScheduleKind::kConstant, 9, 10, 10, 0.9},
    {ScheduleKind::kConstant, 10, 10, 10, 1.0},
    {ScheduleKind::kConstant, 0, 5, 1, 0.0},
    {ScheduleKind::kConstant, 1, 5, 1, 0.2},
};

TEST(LrSchedule, EqualsTransformers) {
  for (const Row& row : kRows) {
    EXPECT_NEAR(LearningRateFactor(row.kind, row.step, row.warmup, row.total), row.factor, 1e-15)
        << "kind " << static_cast<int>(row.kind) << " step " << row.step << " warmup " << row.warmup << " total " << row.total;
  }
}

TEST(LrSchedule, WarmupByRatioRoundsUp) {
  EXPECT_EQ(WarmupSteps(-1, 0.06, 100), 6);
  EXPECT_EQ(WarmupSteps(-1, 0.06, 101), 7);
  EXPECT_EQ(WarmupSteps(-1, 0.0, 101), 0);
  EXPECT_EQ(WarmupSteps(-1, 1.0, 7), 7);
}

TEST(LrSchedule, WarmupStepsWinOverTheRatio) {
  EXPECT_EQ(WarmupSteps(0, 0.5, 100), 0);
  EXPECT_EQ(WarmupSteps(12, 0.5, 100), 12);
}

}  // namespace
}  // namespace attune::training
