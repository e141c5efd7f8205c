// Adjustments: what changed between the steps of a job, so that an attempt that goes on from a checkpoint changes the same at the same steps. A change that is new takes effect after the
// last one that is known, even where the attempt has not come that far again. Pure; not thread-safe.
//
//   Adjustments adjustments(spec.adjustments);
//   const Adjustments::Change change = adjustments.Advance(/*step=*/120, reporter.NewSettings());
//   for (const Adjustment& news : change.news) reporter.Adjusted(news);
//   if (change.any) ...   // settings() or parts() are not what they were
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

class Adjustments {
 public:
  struct Change {
    bool any = false;
    std::vector<Adjustment> news;  // that no attempt has reported yet
  };

  // `known`: in the order in which they took effect, those with after_step -1 last.
  explicit Adjustments(const std::vector<Adjustment>& known);

  // What takes effect when `step` steps of the job are done. `asked`: what the owner has changed since the last call.
  Change Advance(int64_t step, const std::optional<LiveSettings>& asked);
  // Memory ran out: it is in force already, and the returned one is to be reported.
  Adjustment Divide(int64_t after_step, int parts);

  const LiveSettings& settings() const { return settings_; }
  int parts() const { return parts_; }

 private:
  bool Apply(const Adjustment& adjustment);

  std::vector<Adjustment> known_;  // by after_step, ascending
  size_t next_ = 0;                // of known_
  std::vector<Adjustment> waiting_;
  LiveSettings settings_;
  int parts_ = 1;
};

}  // namespace attune::training
