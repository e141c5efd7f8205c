#include "server/training/tasks/class_weights.h"

#include <algorithm>

namespace attune::training {

std::vector<double> BalancedWeights(const std::vector<int64_t>& counts, int64_t rows, bool multi_label) {
  const double classes = static_cast<double>(std::count_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; }));
  const double n = static_cast<double>(rows);
  std::vector<double> weights;
  for (const int64_t count : counts) {
    const double own = static_cast<double>(count);
    if (count == 0) {
      weights.push_back(0);
    } else if (multi_label) {
      weights.push_back(count < rows ? (n - own) / own : 1);
    } else {
      weights.push_back(n / (classes * own));
    }
  }
  return weights;
}

}  // namespace attune::training
