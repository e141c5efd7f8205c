#include "server/training/steps/plan/adjustments.h"

#include <algorithm>

namespace attune::training {

Adjustments::Adjustments(const std::vector<Adjustment>& known) {
  for (const Adjustment& adjustment : known) (adjustment.after_step < 0 ? waiting_ : known_).push_back(adjustment);
  std::stable_sort(known_.begin(), known_.end(), [](const Adjustment& a, const Adjustment& b) { return a.after_step < b.after_step; });
}

Adjustments::Change Adjustments::Advance(int64_t step, const std::optional<LiveSettings>& asked) {
  if (asked.has_value()) {
    std::erase_if(waiting_, [](const Adjustment& adjustment) { return adjustment.batch_parts == 0; });  // the new ones include the old
    waiting_.push_back({.live_settings = *asked});
  }
  Change change;
  while (next_ < known_.size() && known_[next_].after_step <= step) change.any |= Apply(known_[next_++]);
  if (next_ < known_.size()) return change;
  for (Adjustment& adjustment : waiting_) {
    adjustment.after_step = step;
    change.any |= Apply(adjustment);
    change.news.push_back(adjustment);
  }
  waiting_.clear();
  return change;
}

Adjustment Adjustments::Divide(int64_t after_step, int parts) {
  const Adjustment adjustment = {.after_step = after_step, .batch_parts = parts};
  Apply(adjustment);
  return adjustment;
}

bool Adjustments::Apply(const Adjustment& adjustment) {
  if (adjustment.batch_parts > 0) {
    if (adjustment.batch_parts <= parts_) return false;
    parts_ = adjustment.batch_parts;
    return true;
  }
  if (adjustment.live_settings == settings_) return false;
  settings_ = adjustment.live_settings;
  return true;
}

}  // namespace attune::training
