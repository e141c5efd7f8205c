// Follows a job's events, each once and in order, over as many streams as it takes. For one thread. The stub must
// outlive it.
//
// Errors: CallError; std::runtime_error when the job ends before what was waited for, or an event is missing or comes
// twice.
//
//   JobWatch watch(*jobs, job.name());
//   watch.AwaitState("RUNNING");
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "attune/v1/fine_tuning_job.grpc.pb.h"

namespace example {

class JobWatch {
 public:
  using Condition = std::function<bool(const attune::v1::JobEvent&)>;

  JobWatch(attune::v1::FineTuningJobService::Stub& jobs, std::string job) : jobs_(jobs), job_(std::move(job)) {}
  // Reads until an event satisfies the condition, and returns it. A later call goes on after it. `what` is for the
  // error.
  attune::v1::JobEvent Await(const std::string& what, const Condition& condition);
  attune::v1::JobEvent AwaitState(const std::string& state);
  // Of the last event that was seen; 0 before the first.
  int64_t sequence() const { return sequence_; }

 private:
  bool Accept(const attune::v1::JobEvent& event, const std::string& what, const Condition& condition);
  std::vector<attune::v1::JobEvent> Missed(int64_t next);

  attune::v1::FineTuningJobService::Stub& jobs_;
  const std::string job_;
  int64_t sequence_ = 0;
};

}  // namespace example
