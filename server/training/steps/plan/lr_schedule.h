// Learning-rate schedules: pure functions of the step, equal to transformers' get_{linear,cosine,constant}_schedule_with_warmup.
//
//   double rate = phase.learning_rate * LearningRateFactor(ScheduleKind::kLinear, step, warmup, total);
#pragma once

#include <cstdint>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

// What the peak rate is multiplied by in optimizer step `step`, counted from 0 within the phase. Rises from 0 over `warmup_steps`, then falls to 0 at
// `total_steps` (linear, cosine) or stays 1 (constant).
double LearningRateFactor(ScheduleKind kind, int64_t step, int64_t warmup_steps, int64_t total_steps);

// Steps spent warming up: `warmup_steps` when it is not negative, else the share `warmup_ratio` of the phase, rounded up as transformers does.
int64_t WarmupSteps(int64_t warmup_steps, double warmup_ratio, int64_t total_steps);

}  // namespace attune::training
