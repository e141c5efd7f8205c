// LabelLimit: keeps the values of a label few that clients choose (projects). The first `most` stay, all later ones become "other". Thread-safe.
//
//   LabelLimit projects(20);
//   family.Add({{"project", projects.Of(spec.scheduling().project())}});
#pragma once

#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attune::metrics {

class LabelLimit {
 public:
  explicit LabelLimit(size_t most) : most_(most) {}

  std::string Of(const std::string& value) {
    absl::MutexLock lock(&mutex_);
    if (known_.count(value) != 0) return value;
    if (known_.size() >= most_) return "other";
    known_.insert(value);
    return value;
  }

 private:
  const size_t most_;
  absl::Mutex mutex_;
  std::set<std::string> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::metrics
