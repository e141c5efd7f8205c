// How often to report, and how long the rest will take. Pure: the caller says what time it is.
//
//   RatePace pace(absl::Milliseconds(200));
//   if (pace.Due(clock.Now())) reporter.Progress(...);
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace attune::training {

// Lets one report through in each interval.
class RatePace {
 public:
  explicit RatePace(absl::Duration interval) : interval_(interval) {}
  bool Due(absl::Time now) {
    if (now < next_ && next_ - now <= interval_) return false;  // a clock that was set back must not silence us
    next_ = now + interval_;
    return true;
  }

 private:
  const absl::Duration interval_;
  absl::Time next_ = absl::InfinitePast();
};

// Lets bursts through, and a steady rate after them: a short job shows every step, a long one stays readable.
class BurstPace {
 public:
  BurstPace(int burst, double per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}
  bool Due(absl::Time now) {
    const double since = absl::ToDoubleSeconds(now - last_);
    if (since > 0 && last_ != absl::InfinitePast()) tokens_ = std::min(burst_, tokens_ + since * per_second_);
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  const double burst_, per_second_;
  double tokens_;
  absl::Time last_ = absl::InfinitePast();
};

// A mean over the last `window` or so values, exact until there are that many.
class RecentMean {
 public:
  explicit RecentMean(int window) : window_(window) {}
  void Add(double value) {
    ++count_;
    mean_ += (value - mean_) / static_cast<double>(count_ < window_ ? count_ : window_);
  }
  double value() const { return mean_; }
  bool empty() const { return count_ == 0; }

 private:
  int window_;
  int64_t count_ = 0;
  double mean_ = 0;
};

// What is left to do in a phase, for EstimateSeconds.
struct RemainingWork {
  int64_t steps = 0;
  double cost_of_step = 1;  // relative: forward 1, backward 2 for the share of layers that learn
  int64_t evaluations = 0;
};

// Seconds that the remaining phases will take, from what a unit of cost and an evaluation took so far. 0 when nothing is known yet.
double EstimateSeconds(const std::vector<RemainingWork>& remaining, double seconds_per_cost, double seconds_per_evaluation);

}  // namespace attune::training
