// How long to wait before workers are launched again after some died young: 1 s, 2 s, 4 s, ... up to a minute. Pure but for its counter; not thread-safe.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace attune::workers {

class LaunchBackoff {
 public:
  void Failed(absl::Time now) {
    next_ = now + std::min(kFirst * (1 << std::min(failures_, 10)), kLongest);
    ++failures_;
  }
  void Succeeded() {
    failures_ = 0;
    next_ = absl::InfinitePast();
  }
  absl::Time next() const { return next_; }
  int failures() const { return failures_; }

 private:
  static constexpr absl::Duration kFirst = absl::Seconds(1);
  static constexpr absl::Duration kLongest = absl::Minutes(1);
  int failures_ = 0;
  absl::Time next_ = absl::InfinitePast();
};

}  // namespace attune::workers
