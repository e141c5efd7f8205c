// The words of a job: its events, and the error of a failed one. Pure.
#pragma once

#include <string>
#include <vector>

#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/job_event.pb.h"
#include "google/rpc/status.pb.h"
#include "server/jobs/job_state.h"

namespace attune::scheduler {

v1::JobEvent StateEvent(jobs::State from, jobs::State to, const std::string& reason, int attempt, v1::JobEvent::Level level);
v1::JobEvent MetricsEvent(v1::MetricPoint point, int attempt);
v1::JobEvent EvaluationEvent(v1::Evaluation evaluation, int attempt);
v1::JobEvent CheckpointEvent(const std::string& name, int64_t step, bool is_best, int attempt);
v1::JobEvent PhaseEvent(v1::PhaseStarted phase, int attempt);
v1::JobEvent LogEvent(std::string line, int attempt, v1::JobEvent::Level level = v1::JobEvent::LEVEL_INFO);
v1::JobEvent WarningEvent(std::string text, int attempt);

struct Failure {
  v1::FailureInfo::Category category = v1::FailureInfo::CATEGORY_SYSTEM;
  int code = 13;  // google.rpc.Code; INTERNAL
  std::string message;
  bool retryable = false;
  int64_t step = 0;
  std::vector<std::string> log_tail;
};
// details hold a FailureInfo.
google::rpc::Status FailureStatus(const Failure& failure);

}  // namespace attune::scheduler
