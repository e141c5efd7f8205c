// CheckpointInterval: when a job that was not told how often saves between its epochs: as often as that takes at most a fiftieth of the time, but not at once again.
// Pure, plain, torch-free. Not thread-safe.
//
//   CheckpointInterval interval(clock.Now());
//   if (interval.Due(clock.Now(), keeper.cost())) { keeper.Save(...); interval.Saved(clock.Now()); }
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace attune::training {

class CheckpointInterval {
 public:
  explicit CheckpointInterval(absl::Time now) : last_(now) {}
  void Saved(absl::Time now) { last_ = now; }
  // `cost`: of one checkpoint, as measured; zero before the first.
  bool Due(absl::Time now, absl::Duration cost) const { return now - last_ >= After(cost); }
  // It will be before long.
  bool Nears(absl::Time now, absl::Duration cost) const { return now - last_ >= 0.75 * After(cost); }
  // Between two of them.
  static absl::Duration After(absl::Duration cost) { return std::max(kLeast, kTimesItsCost * cost); }

 private:
  static constexpr absl::Duration kLeast = absl::Seconds(30);
  static constexpr int kTimesItsCost = 50;  // 2 %
  absl::Time last_;
};

}  // namespace attune::training
