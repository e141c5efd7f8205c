// BestTracker: which evaluation is the best of the job, and when a phase has stopped improving. Pure; its whole state is a value that checkpoints carry.
//
//   BestTracker tracker("accuracy", /*larger_is_better=*/true);
//   tracker.BeginPhase(/*patience=*/2);
//   Verdict verdict = tracker.Observe(step, result.values);   // verdict.best, verdict.phase_ends
//
// A tie does not count as better, and NaN never does. Patience compares within a phase: a phase that begins by unlearning something may still improve.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace attune::training {

struct BestState {
  bool has_best = false;
  int64_t best_step = 0;
  double best_value = 0;
  bool has_phase_best = false;
  double phase_best = 0;
  int evaluations_without_improvement = 0;
  bool operator==(const BestState&) const = default;
};

struct Verdict {
  bool best = false;        // of the job so far
  bool phase_ends = false;  // patience is used up
};

class BestTracker {
 public:
  BestTracker(std::string metric, bool larger_is_better) : metric_(std::move(metric)), larger_is_better_(larger_is_better) {}

  const BestState& state() const { return state_; }
  void Restore(const BestState& state) { state_ = state; }

  // Evaluations without improvement after which a phase ends; 0: never.
  void SetPatience(int patience) { patience_ = patience; }
  void BeginPhase();
  // Throws std::invalid_argument when the evaluation has no such metric.
  Verdict Observe(int64_t step, const std::map<std::string, double>& values);
  // The evaluation that became the best could not be saved: the one before it is the best again.
  void ForgetBest(const BestState& before);

 private:
  bool Better(double value, double than) const { return larger_is_better_ ? value > than : value < than; }

  const std::string metric_;
  const bool larger_is_better_;
  int patience_ = 0;
  BestState state_;
};

}  // namespace attune::training
