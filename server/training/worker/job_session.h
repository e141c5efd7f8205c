// Runs what the server asks for on the calling thread: attempts, predictions and evaluations. Nothing is thrown: what training throws comes back as a FailureReport. Free of gRPC
// and protobuf; this header is free of torch too. Not thread-safe.
//
//   AttemptOutcome outcome = RunAttempt(assign.spec, assign.paths, reporter, Files::Posix());
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/files.h"
#include "server/training/recipes/evaluation.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/prediction.h"
#include "server/training/recipes/probe/probe_report.h"
#include "server/training/worker/commands.h"

namespace attune::training {

struct AttemptOutcome {
  JobResult result;                       // meaningless when it failed
  std::optional<FailureReport> failure;
};

AttemptOutcome RunAttempt(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files);

struct PredictionOutcome {
  std::vector<PredictionOutput> outputs;  // one for each input, unless it failed
  std::optional<FailureReport> failure;
};

struct EvaluationOutcome {
  std::optional<EvaluationOutput> output;  // absent when it failed or was to stop
  std::optional<FailureReport> failure;
};

struct ProbeOutcome {
  std::optional<ProbeReport> report;  // absent when it failed or was to stop
  std::optional<FailureReport> failure;
};

// Of the reporter only Stop and LogLine are used. The process's memory is not what it was afterwards.
ProbeOutcome RunProbe(const FineTuneSpec& spec, const JobPaths& paths, ProbeScope scope, JobReporter& reporter, Files& files);

// `control.threads` is filled in.
EvaluationOutcome RunEvaluation(const EvaluationRequest& request, EvaluationControl control);

class PredictionSession {
 public:
  PredictionSession();
  ~PredictionSession();
  // The last checkpoint stays loaded.
  PredictionOutcome Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs, int views = 1);
  void Clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attune::training
