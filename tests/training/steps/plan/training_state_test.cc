#include "server/training/steps/plan/training_state.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

TEST(TrainingState, SurvivesJsonToTheBit) {
  TrainingState state;
  state.step = 1234567890123;
  state.phase = 1;
  state.step_in_phase = 17;
  state.phase_ended = true;
  state.optimizer_steps = 17;
  state.epoch = 3;
  state.batch = 9;
  state.best = {.has_best = true, .best_step = 12, .best_value = 0.1 + 0.2, .has_phase_best = true, .phase_best = 1.0 / 3.0,
                .evaluations_without_improvement = 2};
  state.metrics = {{"accuracy", 2.0 / 3.0}, {"pearson", std::numeric_limits<double>::quiet_NaN()}};
  const TrainingState read = TrainingState::FromJson(state.ToJson());
  EXPECT_EQ(read.step, state.step);
  EXPECT_EQ(read.phase, state.phase);
  EXPECT_EQ(read.step_in_phase, state.step_in_phase);
  EXPECT_EQ(read.phase_ended, state.phase_ended);
  EXPECT_EQ(read.optimizer_steps, state.optimizer_steps);
  EXPECT_EQ(read.epoch, state.epoch);
  EXPECT_EQ(read.batch, state.batch);
  EXPECT_EQ(read.best, state.best);
  EXPECT_EQ(read.metrics.at("accuracy"), state.metrics.at("accuracy"));
  EXPECT_TRUE(std::isnan(read.metrics.at("pearson")));
}

std::string ErrorOf(const std::string& json) {
  try {
    TrainingState::FromJson(json);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(TrainingState, DamageIsNamed) {
  EXPECT_THAT(ErrorOf("{"), ::testing::HasSubstr("training_state.json"));
  EXPECT_THAT(ErrorOf("{\"version\": 1}"), ::testing::HasSubstr("'step' not found"));
  EXPECT_THAT(ErrorOf("{\"version\": 2}"), ::testing::HasSubstr("version 2"));
  std::string json = TrainingState{}.ToJson();
  json.replace(json.find("\"step\": 0"), 9, "\"step\": \"x\"");
  EXPECT_THAT(ErrorOf(json), ::testing::HasSubstr("training_state.json"));
}

}  // namespace
}  // namespace attune::training
