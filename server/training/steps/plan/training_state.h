// TrainingState: where a run stands, as training_state.json in a checkpoint. With the weights, the optimizer's moments and the spec it is all that a run needs to go on
// as if it had never stopped: orders of rows and dropout seeds are functions of the place. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "server/training/steps/plan/best_tracker.h"

namespace attune::training {

struct TrainingState {
  int64_t step = 0;              // optimizer steps done in the job
  int phase = 0;                 // index into TrainingPlan::phases()
  int64_t step_in_phase = 0;     // done
  bool phase_ended = false;      // by patience
  int64_t optimizer_steps = 0;   // that the optimizer's moments have seen
  int64_t epoch = 0;             // for people: of the job, 0-based
  int64_t batch = 0;             // for people: the next batch of that epoch
  BestState best;
  std::map<std::string, double> metrics;  // of the last evaluation

  std::string ToJson() const;
  // Throws std::invalid_argument naming the key at fault.
  static TrainingState FromJson(std::string_view json);
};

}  // namespace attune::training
