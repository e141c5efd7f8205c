#include "server/training/steps/plan/pace.h"

namespace attune::training {

double EstimateSeconds(const std::vector<RemainingWork>& remaining, double seconds_per_cost, double seconds_per_evaluation) {
  if (seconds_per_cost <= 0) return 0;
  double seconds = 0;
  for (const RemainingWork& phase : remaining) {
    seconds += static_cast<double>(phase.steps) * phase.cost_of_step * seconds_per_cost;
    seconds += static_cast<double>(phase.evaluations) * seconds_per_evaluation;
  }
  return seconds;
}

}  // namespace attune::training
