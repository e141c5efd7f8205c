// Which checkpoints of a job may go. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace attune::scheduler {

// `steps` in rising order. The last one and those that are `held` stay (the best, the last that can be resumed, pinned ones, those that other jobs begin with), and besides
// them the newest `keep_last`.
//
//   Expendable({10, 20, 30, 40, 50}, /*held=*/{10}, /*keep_last=*/1)   // {20, 30}
inline std::vector<int64_t> Expendable(const std::vector<int64_t>& steps, const std::set<int64_t>& held, int keep_last) {
  std::vector<int64_t> expendable;
  int kept = 0;
  for (size_t i = steps.size(); i-- > 0;) {
    if (i + 1 == steps.size() || held.count(steps[i]) != 0) continue;
    if (kept < keep_last) {
      ++kept;
    } else {
      expendable.insert(expendable.begin(), steps[i]);
    }
  }
  return expendable;
}

}  // namespace attune::scheduler
