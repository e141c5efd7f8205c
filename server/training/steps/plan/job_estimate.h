// How long a whole job will take, from what a few of its steps took. Pure.
//
//   const TimeEstimate estimate = EstimateJob(phases, {.copy_seconds = 0.02, .write_seconds = 0.4}, /*threads=*/2, test_seconds);
#pragma once

#include <cstdint>
#include <vector>

namespace attune::training {

// A phase as it was measured, or as it will be scaled.
struct PhaseWork {
  int64_t steps = 0;
  double cost_of_step = 1;          // relative, as RunReporter's; for phases that were not measured
  bool measured = false;
  double seconds_per_step = 0;      // on average over the phase's batches; measured phases only
  double spread = 0;                // standard deviation of the measured steps' seconds per row or token, over their mean
  double table_seconds = 0;         // of the passes that fill the feature cache
  int64_t evaluations = 0;
  double seconds_per_evaluation = 0;
  int64_t checkpoints = 0;          // at most: an evaluation that is the best so far saves, too
  double save_interval_seconds = 0; // between those that are saved besides; 0: none is
};

// One checkpoint. The training thread copies; a thread of its own writes.
struct CheckpointCost {
  double copy_seconds = 0;   // training waits
  double write_seconds = 0;  // training goes on with the other threads
};

struct TimeEstimate {
  std::vector<double> seconds_per_step;  // of each phase
  std::vector<double> seconds;           // of each phase, with evaluations and checkpoints
  double total_seconds = 0;
  double low_seconds = 0, high_seconds = 0;
};

// Phases that were not measured take, for their relative cost, what the nearest measured phase took for its own. `threads`: of the job; the writer takes the time of one from
// steps, and where less is to do until the next checkpoint than it needs, that one waits. `more_seconds`: what comes after the last phase (the test split). The interval is that of
// 9 in 10 normally distributed step times that vary together, and at least 10 % of the whole to each side: machines are not quieter than that. At least one phase must be measured.
TimeEstimate EstimateJob(std::vector<PhaseWork> phases, const CheckpointCost& checkpoint, int threads, double more_seconds);

// Indices of at most `limit` phases to measure, in order: the one that needs most memory (`most_memory`), the first, the last, and those between spread evenly.
std::vector<int> PhasesToMeasure(int phases, int most_memory, int limit);

// Standard deviation over mean of `values`; 0 for fewer than two.
double RelativeSpread(const std::vector<double>& values);

}  // namespace attune::training
