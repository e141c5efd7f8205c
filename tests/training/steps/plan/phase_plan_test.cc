#include "server/training/steps/plan/phase_plan.h"

#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::HasSubstr;

PhaseSpec Epochs(int n) {
  PhaseSpec phase;
  phase.name = "epochs";
  phase.n_epochs = n;
  return phase;
}

PhaseSpec Steps(int64_t n) {
  PhaseSpec phase;
  phase.name = "steps";
  phase.max_steps = n;
  return phase;
}

TEST(TrainingPlan, CountsBatchesAndSteps) {
  struct Row {
    int64_t rows, batch_size, accumulation, batches, steps;
  };
  for (const Row& row : {Row{100, 10, 1, 10, 10}, Row{101, 10, 1, 11, 11}, Row{101, 10, 2, 11, 6}, Row{3, 10, 4, 1, 1}, Row{40, 10, 4, 4, 1}}) {
    TrainingPlan plan({Epochs(2)}, {.rows = row.rows, .batch_size = row.batch_size, .accumulation = row.accumulation});
    EXPECT_EQ(plan.batches_per_epoch(), row.batches) << row.rows;
    EXPECT_EQ(plan.steps_per_epoch(), row.steps) << row.rows;
    EXPECT_EQ(plan.total_steps(), 2 * row.steps) << row.rows;
  }
}

TEST(TrainingPlan, EveryRowOfEachEpochIsInExactlyOneStep) {
  TrainingPlan plan({Epochs(2), Steps(7)}, {.rows = 101, .batch_size = 10, .accumulation = 3});
  int64_t rows = 0;
  for (int64_t step = 0; step < plan.steps_per_epoch(); ++step) {
    const StepWork work = plan.Work(0, step);
    int64_t rows_of_batches = 0;
    for (int64_t b = 0; b < work.batches; ++b) rows_of_batches += plan.RowsOf(work.first_batch + b);
    EXPECT_EQ(work.rows, rows_of_batches);
    rows += work.rows;
  }
  EXPECT_EQ(rows, 101);
  const StepWork last = plan.Work(0, plan.steps_per_epoch() - 1);
  EXPECT_EQ(last.batches, 2);  // 11 batches in threes
  EXPECT_EQ(last.rows, 11);    // and one row in the last
}

TEST(TrainingPlan, StepsAreContiguousRangesOfBatches) {
  TrainingPlan plan({Epochs(3)}, {.rows = 101, .batch_size = 10, .accumulation = 3});
  for (int64_t step = 0; step < plan.phases()[0].steps; ++step) {
    const int64_t first = plan.BatchesBefore(0, step);
    const StepWork work = plan.Work(0, step);
    EXPECT_EQ(plan.BatchesBefore(0, step + 1), first + work.batches);
    const BatchPlace place = plan.Place(0, first);
    EXPECT_EQ(place.epoch, work.epoch);
    EXPECT_EQ(place.batch, work.first_batch);
  }
}

TEST(TrainingPlan, NoTwoBatchesOfAJobShareASeed) {
  TrainingPlan plan({Steps(7), Epochs(2), Steps(1)}, {.rows = 45, .batch_size = 10});
  std::set<int64_t> seen;
  for (size_t phase = 0; phase < plan.phases().size(); ++phase) {
    const int64_t batches = plan.BatchesBefore(phase, plan.phases()[phase].steps);
    for (int64_t b = 0; b < batches; ++b) EXPECT_TRUE(seen.insert(plan.Place(phase, b).micro_step).second);
  }
  EXPECT_EQ(plan.phases()[1].first_epoch, 2);  // 7 steps are one epoch of 5 and a part of another
  EXPECT_EQ(plan.phases()[2].first_epoch, 4);
}

TEST(TrainingPlan, MaxStepsOfTheJobCutsPhases) {
  TrainingPlan plan({Epochs(1), Epochs(5), Epochs(1)}, {.rows = 100, .batch_size = 10, .max_steps = 25});
  ASSERT_EQ(plan.phases().size(), 2u);
  EXPECT_EQ(plan.phases()[0].steps, 10);
  EXPECT_EQ(plan.phases()[1].steps, 15);
  EXPECT_EQ(plan.phases()[1].first_step, 10);
  EXPECT_EQ(plan.total_steps(), 25);
}

TEST(TrainingPlan, EvaluatesEachEpochAndAtTheEndOfAPhase) {
  TrainingPlan plan({Steps(13), Epochs(2)}, {.rows = 50, .batch_size = 10});
  std::vector<int64_t> due;
  for (int64_t step = 1; step <= 13; ++step) {
    if (plan.EvaluationDue(0, step, step)) due.push_back(step);
  }
  EXPECT_THAT(due, ::testing::ElementsAre(5, 10, 13));
}

TEST(TrainingPlan, EvaluatesEachNStepsOfTheJob) {
  TrainingPlan plan({Steps(5), Steps(10)}, {.rows = 50, .batch_size = 10, .eval_steps = 4, .save_steps = 6});
  std::vector<int64_t> evaluations, checkpoints;
  for (int64_t step = 1; step <= 15; ++step) {
    const int phase = step <= 5 ? 0 : 1;
    const int64_t in_phase = phase == 0 ? step : step - 5;
    if (plan.EvaluationDue(phase, in_phase, step)) evaluations.push_back(step);
    if (plan.CheckpointDue(phase, in_phase, step)) checkpoints.push_back(step);
  }
  EXPECT_THAT(evaluations, ::testing::ElementsAre(4, 5, 8, 12, 15));
  EXPECT_THAT(checkpoints, ::testing::ElementsAre(5, 6, 12, 15));
}

TEST(TrainingPlan, SavesWithinAPhaseAreThoseBeforeItsEnd) {
  const TrainingPlan by_steps({Steps(5), Steps(10)}, {.rows = 50, .batch_size = 10, .eval_steps = 4, .save_steps = 6});
  EXPECT_FALSE(by_steps.SavesWithin(0, 0, /*evaluates=*/false)) << "that at its end";
  EXPECT_TRUE(by_steps.SavesWithin(0, 0, /*evaluates=*/true)) << "step 4 may be the best";
  EXPECT_FALSE(by_steps.SavesWithin(0, 4, /*evaluates=*/true));
  EXPECT_TRUE(by_steps.SavesWithin(1, 6, /*evaluates=*/false)) << "step 12 of the job";
  EXPECT_FALSE(by_steps.SavesWithin(1, 7, /*evaluates=*/false));
  EXPECT_TRUE(TrainingPlan({Epochs(2)}, {.rows = 50, .batch_size = 10}).SavesWithin(0, 0, /*evaluates=*/false));
  EXPECT_FALSE(TrainingPlan({Epochs(1)}, {.rows = 50, .batch_size = 10}).SavesWithin(0, 0, /*evaluates=*/true));
}

TEST(TrainingPlan, EpochsDoneHasAFraction) {
  TrainingPlan plan({Epochs(2)}, {.rows = 100, .batch_size = 10});
  EXPECT_DOUBLE_EQ(plan.EpochsDone(15), 1.5);
}

template <typename Function>
std::string MessageOf(Function function) {
  try {
    function();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(TrainingPlan, RefusesWhatCannotBeTrained) {
  EXPECT_THAT(MessageOf([] { TrainingPlan({Epochs(1)}, {.rows = 0}); }), HasSubstr("no training rows"));
  EXPECT_THAT(MessageOf([] { TrainingPlan({}, {.rows = 1}); }), HasSubstr("phases"));
  EXPECT_THAT(MessageOf([] { TrainingPlan({Epochs(0)}, {.rows = 1}); }), HasSubstr("phases[0]"));
  EXPECT_THAT(MessageOf([] { TrainingPlan({Epochs(1)}, {.rows = 1, .batch_size = 0}); }), HasSubstr("batch_size"));
  EXPECT_THAT(MessageOf([] { TrainingPlan({Epochs(1)}, {.rows = 1, .accumulation = 0}); }), HasSubstr("gradient_accumulation_steps"));
}

}  // namespace
}  // namespace attune::training
