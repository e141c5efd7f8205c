// LrRange: the arithmetic of a learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks"): the rate of each step, when the loss has blown
// up, and which rates the curve suggests. Pure; not thread-safe.
//
//   LrRange range({.least = 1e-7, .most = 1, .steps = 100});
//   for (int64_t step = 0; step < 100; ++step) if (!range.Add(TrainAt(range.RateAt(step)))) break;
//   LrSuggestion suggestion = range.Suggest();
#pragma once

#include <cstdint>
#include <vector>

#include "server/training/steps/plan/pace.h"

namespace attune::training {

struct LrRangeOptions {
  double least = 1e-7, most = 1;  // rates of the first and of the last step
  int64_t steps = 100;            // at least 2
};

// 0 where the loss never fell.
struct LrSuggestion {
  double steepest = 0;          // where the smoothed loss falls fastest over the logarithm of the rate
  double tenth_of_minimum = 0;  // a tenth of the rate at which the smoothed loss is least
};

class LrRange {
 public:
  explicit LrRange(const LrRangeOptions& options);
  double RateAt(int64_t step) const;  // grows by the same factor in each step
  // The loss of the next step. False: the test is over, for the smoothed loss exceeds four times its least.
  bool Add(double loss);
  double smoothed() const { return curve_.back(); }  // a mean over about a tenth of the steps
  LrSuggestion Suggest() const;

 private:
  const LrRangeOptions options_;
  const int64_t window_;
  RecentMean mean_;
  std::vector<double> curve_;  // smoothed, of each step
  double least_ = 0;           // of the curve
};

}  // namespace attune::training
