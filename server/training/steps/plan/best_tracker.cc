#include "server/training/steps/plan/best_tracker.h"

#include <cmath>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace attune::training {

void BestTracker::BeginPhase() {
  state_.has_phase_best = false;
  state_.phase_best = 0;
  state_.evaluations_without_improvement = 0;
}

Verdict BestTracker::Observe(int64_t step, const std::map<std::string, double>& values) {
  const auto found = values.find(metric_);
  if (found == values.end()) {
    throw std::invalid_argument(absl::StrCat("metric_for_best_model \"", metric_, "\" is not a metric of this task, which has ",
                                             absl::StrJoin(values, ", ", [](std::string* out, const auto& entry) { *out += entry.first; })));
  }
  const double value = found->second;
  Verdict verdict;
  if (!std::isnan(value) && (!state_.has_best || Better(value, state_.best_value))) {
    verdict.best = true;
    state_.has_best = true;
    state_.best_step = step;
    state_.best_value = value;
  }
  if (!std::isnan(value) && (!state_.has_phase_best || Better(value, state_.phase_best))) {
    state_.has_phase_best = true;
    state_.phase_best = value;
    state_.evaluations_without_improvement = 0;
  } else {
    ++state_.evaluations_without_improvement;
  }
  verdict.phase_ends = patience_ > 0 && state_.evaluations_without_improvement >= patience_;
  return verdict;
}

void BestTracker::ForgetBest(const BestState& before) {
  state_.has_best = before.has_best;
  state_.best_step = before.best_step;
  state_.best_value = before.best_value;
}

}  // namespace attune::training
