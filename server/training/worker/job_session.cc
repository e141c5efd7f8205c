#include "server/training/worker/job_session.h"

#include <ATen/Parallel.h>

#include "server/training/recipes/evaluator.h"
#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/lr_range_test.h"
#include "server/training/recipes/predictor.h"
#include "server/training/recipes/probe/probe.h"
#include "server/training/worker/device_memory.h"
#include "server/training/worker/devices.h"
#include "server/training/worker/failure.h"
#include "server/training/worker/torch_runtime.h"

namespace attune::training {

namespace {

void MakeReady(const FineTuneSpec& spec) {
  const absl::Status ready = PrepareDevice(spec.device);
  if (!ready.ok()) {
    const bool misspelt = ready.code() == absl::StatusCode::kInvalidArgument;
    throw TrainingError(misspelt ? FailureCategory::kUser : FailureCategory::kResource, std::string(ready.message()));
  }
  ApplySettings(spec.threads, spec.device);
}

}  // namespace

AttemptOutcome RunAttempt(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files) {
  AttemptOutcome outcome;
  outcome.failure = RunGuarded([&] {
    MakeReady(spec);
    outcome.result = spec.lr_range_test.enabled ? RunLrRangeTest(spec, paths, reporter, files) : FineTune(spec, paths, reporter, files);
  });
  return outcome;
}

ProbeOutcome RunProbe(const FineTuneSpec& spec, const JobPaths& paths, ProbeScope scope, JobReporter& reporter, Files& files) {
  ProbeOutcome outcome;
  outcome.failure = RunGuarded([&] {
    MakeReady(spec);
    outcome.report = ProbeJob(spec, paths, *MeterOf(spec.device), reporter, files, scope);
  });
  return outcome;
}

EvaluationOutcome RunEvaluation(const EvaluationRequest& request, EvaluationControl control) {
  EvaluationOutcome outcome;
  outcome.failure = RunGuarded([&] {
    control.threads = at::get_num_threads();
    outcome.output = EvaluateCheckpoint(request, control);
  });
  return outcome;
}

struct PredictionSession::State {
  Predictor predictor;
};

PredictionSession::PredictionSession() : state_(std::make_unique<State>()) {}
PredictionSession::~PredictionSession() = default;

PredictionOutcome PredictionSession::Predict(const std::string& checkpoint_dir, const std::vector<PredictionInput>& inputs, int views) {
  PredictionOutcome outcome;
  outcome.failure = RunGuarded([&] { outcome.outputs = state_->predictor.Predict(checkpoint_dir, inputs, views); });
  return outcome;
}

void PredictionSession::Clear() { state_->predictor.Clear(); }

}  // namespace attune::training
