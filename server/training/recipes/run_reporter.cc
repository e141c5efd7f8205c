#include "server/training/recipes/run_reporter.h"

#include <utility>

namespace attune::training {
namespace {

constexpr int kWindow = 20;  // steps that means are over
constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);
constexpr int kMetricBurst = 200;
constexpr double kMetricsPerSecond = 20;

double Rate(const RecentMean& amount, const RecentMean& seconds) { return seconds.value() > 0 ? amount.value() / seconds.value() : 0; }

}  // namespace

RunReporter::RunReporter(const TrainingPlan& plan, std::vector<double> costs, int64_t evaluation_rows, JobReporter& reporter, const Clock& clock)
    : plan_(plan), costs_(std::move(costs)), evaluation_rows_(evaluation_rows), reporter_(reporter), clock_(clock), progress_pace_(kProgressInterval),
      metric_pace_(kMetricBurst, kMetricsPerSecond), seconds_(kWindow), rows_(kWindow), tokens_(kWindow), loss_(kWindow), waited_(kWindow) {}

void RunReporter::BeginPhase(int phase, const PhaseReport& report) {
  phase_ = phase;
  phase_name_ = report.phase;
  // A phase's speed says nothing about the next one's.
  seconds_ = RecentMean(kWindow);
  rows_ = RecentMean(kWindow);
  tokens_ = RecentMean(kWindow);
  waited_ = RecentMean(kWindow);
  reporter_.Phase(report);
}

void RunReporter::Step(const StepReport& step, const std::map<std::string, double>& more) {
  reporter_.Step(step.job_step);
  seconds_.Add(step.seconds);
  rows_.Add(static_cast<double>(step.rows));
  tokens_.Add(static_cast<double>(step.tokens));
  loss_.Add(step.loss);
  waited_.Add(step.waited_seconds);
  ++work_.steps;
  work_.samples += step.rows;
  work_.tokens += step.tokens;
  work_.step_seconds += step.seconds;
  work_.input_wait_seconds += step.waited_seconds;
  seconds_per_cost_ = seconds_.value() / costs_[phase_];
  rows_per_step_ = rows_.value();
  const absl::Time now = clock_.Now();
  const bool last = step.steps_done == plan_.phases()[phase_].steps;
  if (metric_pace_.Due(now) || last) {
    MetricReport report;
    report.step = step.job_step;
    report.epoch = plan_.EpochsDone(step.steps_done);
    report.phase = phase_name_;
    report.values = {{"loss", step.loss},
                     {"learning_rate", step.learning_rate},
                     {"grad_norm", step.grad_norm},
                     {"samples_per_second", Rate(rows_, seconds_)},
                     {"input_wait", Rate(waited_, seconds_)}};  // share of the steps' time spent waiting for batches
    if (step.tokens > 0) report.values["tokens_per_second"] = Rate(tokens_, seconds_);
    report.values.insert(more.begin(), more.end());
    reporter_.Metrics(report);
  }
  if (progress_pace_.Due(now) || last) reporter_.Progress(MakeProgress(step));
}

int64_t RunReporter::TotalSteps(const StepReport& step) const {
  int64_t total = step.job_step + plan_.phases()[phase_].steps - step.steps_done;
  for (size_t later = phase_ + 1; later < plan_.phases().size(); ++later) total += plan_.phases()[later].steps;
  return total;
}

ProgressReport RunReporter::MakeProgress(const StepReport& step) const {
  // Until one was measured, an evaluation costs a forward pass over its rows.
  const double guess = rows_per_step_ > 0 ? seconds_per_cost_ * static_cast<double>(evaluation_rows_) / rows_per_step_ : 0;
  std::vector<RemainingWork> remaining;
  for (size_t phase = phase_; phase < plan_.phases().size(); ++phase) {
    const int64_t done = static_cast<int>(phase) == phase_ ? step.steps_done : 0;
    remaining.push_back({plan_.phases()[phase].steps - done, costs_[phase],
                         evaluation_rows_ > 0 ? plan_.EvaluationsLeft(static_cast<int>(phase), done) : 0});
  }
  ProgressReport report;
  report.step = step.job_step;
  report.total_steps = TotalSteps(step);
  report.epoch = plan_.EpochsDone(step.steps_done);
  report.phase = phase_name_;
  report.eta_seconds = EstimateSeconds(remaining, seconds_per_cost_, seconds_per_evaluation_ > 0 ? seconds_per_evaluation_ : guess);
  report.samples_per_second = Rate(rows_, seconds_);
  report.loss = loss_.value();
  report.work = work_;
  return report;
}

void RunReporter::Evaluation(const EvaluationReport& report, double seconds) {
  seconds_per_evaluation_ = seconds;
  reporter_.Evaluation(report);
  MetricReport metrics;
  metrics.step = report.step;
  metrics.phase = phase_name_;
  for (const auto& [name, value] : report.values) metrics.values["eval_" + name] = value;
  reporter_.Metrics(metrics);
}

EvaluationReport MakeEvaluationReport(int64_t step, const std::string& split, const EvaluationResult& result, bool is_best) {
  EvaluationReport report;
  report.step = step;
  report.split = split;
  report.rows = result.rows;
  report.values = result.values;
  for (const ClassMetrics& each : result.classes) report.classes.push_back({each.label, each.precision, each.recall, each.f1, each.support});
  report.confusion = result.confusion;
  report.is_best = is_best;
  return report;
}

}  // namespace attune::training
