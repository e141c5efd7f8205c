// Clock: where time comes from, so that tests can turn it. Thread-safe.
#pragma once

#include "absl/time/time.h"

namespace attune {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
  // The machine's clock. Lives as long as the process.
  static const Clock& System();
};

}  // namespace attune
