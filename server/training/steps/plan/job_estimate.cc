#include "server/training/steps/plan/job_estimate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace attune::training {
namespace {

constexpr double kLeastSpread = 0.10;
constexpr double kNinetyPercent = 1.645;  // standard deviations to each side of the mean

int NearestMeasured(const std::vector<PhaseWork>& phases, int phase) {
  int nearest = -1;
  for (int other = 0; other < static_cast<int>(phases.size()); ++other) {
    if (phases[other].measured && (nearest < 0 || std::abs(other - phase) < std::abs(nearest - phase))) nearest = other;
  }
  return nearest;
}

double SecondsOfCheckpoints(const PhaseWork& phase, double work_seconds, const CheckpointCost& checkpoint, int threads) {
  if (phase.checkpoints == 0) return 0;
  double checkpoints = static_cast<double>(phase.checkpoints);
  if (phase.save_interval_seconds > 0) checkpoints = std::max(checkpoints, std::floor(work_seconds / phase.save_interval_seconds));
  const double between = work_seconds / checkpoints;
  const double waited = std::max(checkpoint.write_seconds / std::max(threads, 1), checkpoint.write_seconds - between);
  return checkpoints * (checkpoint.copy_seconds + waited);
}

}  // namespace

double RelativeSpread(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return mean > 0 ? std::sqrt(squares / static_cast<double>(values.size() - 1)) / mean : 0;
}

TimeEstimate EstimateJob(std::vector<PhaseWork> phases, const CheckpointCost& checkpoint, int threads, double more_seconds) {
  TimeEstimate estimate;
  double uncertain = 0;  // seconds to each side
  for (int i = 0; i < static_cast<int>(phases.size()); ++i) {
    PhaseWork& phase = phases[i];
    if (const int nearest = NearestMeasured(phases, i); !phase.measured && nearest >= 0) {
      const double ratio = phase.cost_of_step / phases[nearest].cost_of_step;
      phase.seconds_per_step = phases[nearest].seconds_per_step * ratio;
      phase.spread = phases[nearest].spread;
      phase.table_seconds = phases[nearest].table_seconds;
      phase.seconds_per_evaluation = phases[nearest].seconds_per_evaluation;
    }
    uncertain += kNinetyPercent * phase.spread * static_cast<double>(phase.steps) * phase.seconds_per_step;
    double seconds = phase.table_seconds + static_cast<double>(phase.steps) * phase.seconds_per_step;
    seconds += static_cast<double>(phase.evaluations) * phase.seconds_per_evaluation;
    seconds += SecondsOfCheckpoints(phase, seconds, checkpoint, threads);
    estimate.seconds_per_step.push_back(phase.seconds_per_step);
    estimate.seconds.push_back(seconds);
    estimate.total_seconds += seconds;
  }
  const bool saves = !phases.empty() && phases.back().checkpoints > 0;
  if (saves) estimate.total_seconds += checkpoint.write_seconds * (1 - 1.0 / std::max(threads, 1));  // nothing is left to do beside the last one
  estimate.total_seconds += more_seconds;
  uncertain = std::max(uncertain, kLeastSpread * estimate.total_seconds);
  estimate.low_seconds = std::max(0.0, estimate.total_seconds - uncertain);
  estimate.high_seconds = estimate.total_seconds + uncertain;
  return estimate;
}

std::vector<int> PhasesToMeasure(int phases, int most_memory, int limit) {
  std::vector<int> chosen;
  const auto add = [&](int phase) {
    if (static_cast<int>(chosen.size()) < limit && std::find(chosen.begin(), chosen.end(), phase) == chosen.end()) chosen.push_back(phase);
  };
  if (phases <= limit) {
    for (int phase = 0; phase < phases; ++phase) add(phase);
    return chosen;
  }
  add(most_memory);
  add(phases - 1);
  add(0);
  for (int i = 1; i < limit; ++i) add(i * (phases - 1) / limit);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace attune::training
