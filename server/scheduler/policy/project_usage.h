// ProjectUsage: how long each project's jobs have trained lately. An hour counts half after an hour. Not thread-safe; the scheduler's loop owns it.
//
//   usage.Add("vision", absl::Seconds(90), now);
//   Place(queued, running, {.project_seconds = usage.Seconds(now), ...});
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "absl/time/time.h"

namespace attune::scheduler {

class ProjectUsage {
 public:
  void Add(const std::string& project, absl::Duration trained, absl::Time now) {
    Entry& entry = entries_[project];
    entry.seconds = Decayed(entry, now) + absl::ToDoubleSeconds(trained);
    entry.at = now;
  }

  std::map<std::string, double> Seconds(absl::Time now) const {
    std::map<std::string, double> seconds;
    for (const auto& [project, entry] : entries_) seconds[project] = Decayed(entry, now);
    return seconds;
  }

 private:
  static constexpr double kHalfLife = 3600;  // seconds
  struct Entry {
    double seconds = 0;
    absl::Time at = absl::InfinitePast();
  };
  static double Decayed(const Entry& entry, absl::Time now) {
    return entry.seconds == 0 ? 0 : entry.seconds * std::exp2(-std::max(0.0, absl::ToDoubleSeconds(now - entry.at)) / kHalfLife);
  }

  std::map<std::string, Entry> entries_;
};

}  // namespace attune::scheduler
