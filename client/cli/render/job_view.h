// JobView: what a watcher knows about a job, folded from its events and, now and then, the job itself. A value; pure
// functions; not thread-safe.
//
//   Apply(event, &view);
//   for (const std::string& line : LiveView(view, now, style)) ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/job_event.pb.h"

namespace attune::cli {

struct JobView {
  v1::FineTuningJob job;  // as last fetched
  absl::Time fetch_time = absl::InfinitePast();

  std::string state = "QUEUED";  // by events, newer than `job`
  std::string reason;
  bool terminal = false;

  std::string phase;
  int phase_index = -1;
  int64_t trainable_parameters = 0;
  int64_t total_parameters = 0;

  int64_t step = 0;
  double epoch = 0;
  std::optional<double> learning_rate;
  std::optional<double> samples_per_second;
  std::vector<std::pair<int64_t, double>> losses;  // by step, rising

  std::optional<v1::Evaluation> evaluation;       // the last one
  std::optional<v1::Evaluation> best_evaluation;  // the last one that was best
  std::vector<v1::CheckpointSaved> checkpoints;
  std::vector<std::string> warnings;  // messages of warnings and errors, the last three

  absl::Time first_event_time = absl::InfinitePast();
  absl::Time last_event_time = absl::InfinitePast();
  absl::Time run_start_time = absl::InfinitePast();  // of the current attempt
};

void Apply(const v1::JobEvent& event, JobView* view);
void Apply(const v1::FineTuningJob& job, absl::Time now, JobView* view);

// Steps in all; 0 when nobody knows yet.
int64_t TotalSteps(const JobView& view);
// Share done, 0 to 1.
double Fraction(const JobView& view);
// Seconds to the end, by the server's estimate and the time since it was made; nothing when there is none.
std::optional<double> EtaSeconds(const JobView& view, absl::Time now);

}  // namespace attune::cli
