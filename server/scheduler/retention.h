// Which checkpoints of a job may go. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace attune::scheduler {

// `steps` in rising order. The last one and `best_step` stay, and besides them the newest `keep_last`.
//
//   Expendable({10, 20, 30, 40, 50}, /*best_step=*/10, /*keep_last=*/1)   // {20, 30}
inline std::vector<int64_t> Expendable(const std::vector<int64_t>& steps, int64_t best_step, int keep_last) {
  std::vector<int64_t> expendable;
  int kept = 0;
  for (size_t i = steps.size(); i-- > 0;) {
    if (i + 1 == steps.size() || steps[i] == best_step) continue;
    if (kept < keep_last) {
      ++kept;
    } else {
      expendable.insert(expendable.begin(), steps[i]);
    }
  }
  return expendable;
}

}  // namespace attune::scheduler
