#include "client/cli/render/job_view.h"

#include <algorithm>

#include "client/cli/render/format.h"

namespace attune::cli {
namespace {

constexpr size_t kWarnings = 3;

std::optional<double> Find(const v1::MetricPoint& point, const char* name) {
  auto found = point.values().find(name);
  if (found == point.values().end()) return std::nullopt;
  return found->second;
}

void ApplyMetrics(const v1::MetricPoint& point, JobView* view) {
  view->step = point.step();
  view->epoch = point.epoch();
  if (!point.phase().empty()) view->phase = point.phase();
  if (auto rate = Find(point, "learning_rate")) view->learning_rate = rate;
  if (auto speed = Find(point, "samples_per_second")) view->samples_per_second = speed;
  auto loss = Find(point, "loss");
  if (!loss.has_value()) return;
  // A new attempt goes on from a checkpoint: what came after it happens again.
  while (!view->losses.empty() && view->losses.back().first >= point.step()) view->losses.pop_back();
  view->losses.emplace_back(point.step(), *loss);
}

}  // namespace

void Apply(const v1::JobEvent& event, JobView* view) {
  const absl::Time time = ToTime(event.create_time());
  if (view->first_event_time == absl::InfinitePast()) view->first_event_time = time;
  view->last_event_time = time;
  if (event.level() >= v1::JobEvent::LEVEL_WARNING && !event.message().empty()) {
    view->warnings.push_back(event.message());
    if (view->warnings.size() > kWarnings) view->warnings.erase(view->warnings.begin());
  }
  switch (event.payload_case()) {
    case v1::JobEvent::kStateChanged:
      view->state = event.state_changed().to();
      view->reason = event.state_changed().reason();
      view->terminal = event.state_changed().terminal();
      if (view->state == "RUNNING") view->run_start_time = time;
      break;
    case v1::JobEvent::kMetrics:
      ApplyMetrics(event.metrics(), view);
      break;
    case v1::JobEvent::kEvaluation:
      view->evaluation = event.evaluation();
      if (event.evaluation().is_best()) view->best_evaluation = event.evaluation();
      break;
    case v1::JobEvent::kCheckpointSaved:
      view->checkpoints.push_back(event.checkpoint_saved());
      break;
    case v1::JobEvent::kPhaseStarted:
      view->phase = event.phase_started().phase();
      view->phase_index = event.phase_started().index();
      view->trainable_parameters = event.phase_started().trainable_parameters();
      view->total_parameters = event.phase_started().total_parameters();
      break;
    default:
      break;
  }
}

void Apply(const v1::FineTuningJob& job, absl::Time now, JobView* view) {
  view->job = job;
  view->fetch_time = now;
}

int64_t TotalSteps(const JobView& view) { return std::max(view.job.progress().total_steps(), view.step); }

double Fraction(const JobView& view) {
  const int64_t total = view.job.progress().total_steps();
  if (total <= 0) return 0;
  return std::clamp(static_cast<double>(view.step) / static_cast<double>(total), 0.0, 1.0);
}

std::optional<double> EtaSeconds(const JobView& view, absl::Time now) {
  const double eta = view.job.progress().eta_seconds();
  if (view.terminal || eta <= 0) return std::nullopt;
  return std::max(0.0, eta - absl::ToDoubleSeconds(now - view.fetch_time));
}

}  // namespace attune::cli
