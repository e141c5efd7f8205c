#include "server/scheduler/job_reports.h"

#include <cstdio>
#include <initializer_list>
#include <utility>

#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

v1::JobEvent MakeEvent(v1::JobEvent::Level level, std::string message, int attempt) {
  v1::JobEvent event;
  event.set_level(level);
  event.set_message(std::move(message));
  event.set_attempt(attempt);
  return event;
}

// "loss 0.532, accuracy 0.91": those of `names` that are there.
template <typename Map>
std::string Values(const Map& values, std::initializer_list<const char*> names) {
  std::string text;
  for (const char* name : names) {
    auto found = values.find(name);
    if (found == values.end()) continue;
    char number[32];
    std::snprintf(number, sizeof(number), "%.4g", found->second);
    StrAppend(&text, text.empty() ? "" : ", ", name, " ", number);
  }
  return text;
}

}  // namespace

v1::JobEvent StateEvent(jobs::State from, jobs::State to, const std::string& reason, int attempt, v1::JobEvent::Level level) {
  std::string name = jobs::StateName(to);
  v1::JobEvent event = MakeEvent(level, reason.empty() ? name : StrCat(name, ": ", reason), attempt);
  v1::StateChanged& change = *event.mutable_state_changed();
  change.set_from(jobs::StateName(from));
  change.set_to(name);
  change.set_reason(reason);
  change.set_terminal(jobs::IsFinal(to));
  return event;
}

v1::JobEvent MetricsEvent(v1::MetricPoint point, int attempt) {
  v1::JobEvent event = MakeEvent(v1::JobEvent::LEVEL_INFO, StrCat("step ", point.step(), ": ", Values(point.values(), {"loss", "learning_rate"})), attempt);
  *event.mutable_metrics() = std::move(point);
  return event;
}

v1::JobEvent EvaluationEvent(v1::Evaluation evaluation, int attempt) {
  v1::JobEvent event = MakeEvent(v1::JobEvent::LEVEL_INFO,
                                 StrCat(evaluation.split(), " after step ", evaluation.step(), ": ",
                                        Values(evaluation.values(), {"accuracy", "f1_macro", "mse", "pearson", "loss"}),
                                        evaluation.is_best() ? ", the best so far" : ""),
                                 attempt);
  *event.mutable_evaluation() = std::move(evaluation);
  return event;
}

v1::JobEvent CheckpointEvent(const std::string& name, int64_t step, bool is_best, int attempt) {
  v1::JobEvent event = MakeEvent(v1::JobEvent::LEVEL_INFO, StrCat("checkpoint saved at step ", step, is_best ? ", the best so far" : ""), attempt);
  event.mutable_checkpoint_saved()->set_checkpoint(name);
  event.mutable_checkpoint_saved()->set_step(step);
  event.mutable_checkpoint_saved()->set_is_best(is_best);
  return event;
}

v1::JobEvent PhaseEvent(v1::PhaseStarted phase, int attempt) {
  v1::JobEvent event = MakeEvent(v1::JobEvent::LEVEL_INFO,
                                 StrCat("phase ", phase.phase(), " begins: ", phase.trainable_parameters(), " of ", phase.total_parameters(), " values learn"),
                                 attempt);
  *event.mutable_phase_started() = std::move(phase);
  return event;
}

v1::JobEvent LogEvent(std::string line, int attempt, v1::JobEvent::Level level) {
  v1::JobEvent event = MakeEvent(level, line, attempt);
  event.mutable_log_line()->set_text(std::move(line));
  return event;
}

v1::JobEvent WarningEvent(std::string text, int attempt) { return MakeEvent(v1::JobEvent::LEVEL_WARNING, std::move(text), attempt); }

google::rpc::Status FailureStatus(const Failure& failure) {
  google::rpc::Status status;
  status.set_code(failure.code == 0 ? 13 : failure.code);
  status.set_message(failure.message);
  v1::FailureInfo info;
  info.set_category(failure.category);
  info.set_retryable(failure.retryable);
  info.set_step(failure.step);
  for (const std::string& line : failure.log_tail) info.add_log_tail(line);
  status.add_details()->PackFrom(info);
  return status;
}

}  // namespace attune::scheduler
