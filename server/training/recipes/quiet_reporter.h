// QuietReporter: a JobReporter whose caller wants to hear nothing of the run but what people should know (LogLine) and asks when to stop. Thread-safe as JobReporter asks.
#pragma once

#include <cstdint>
#include <string>

#include "server/training/recipes/job_reporter.h"

namespace attune::training {

class QuietReporter : public JobReporter {
 public:
  void Started(int64_t, const std::string&, int) override {}
  void Phase(const PhaseReport&) override {}
  void Step(int64_t) override {}
  void Progress(const ProgressReport&) override {}
  void Metrics(const MetricReport&) override {}
  void Evaluation(const EvaluationReport&) override {}
  void CheckpointWritten(const CheckpointReport&) override {}
};

}  // namespace attune::training
