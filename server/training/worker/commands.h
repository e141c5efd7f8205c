// What the server asks of a worker and what goes wrong, as plain values: the language between worker_channel (gRPC, no torch) and job_session (torch, no gRPC).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "server/training/recipes/evaluation.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/prediction.h"
#include "server/training/recipes/probe/probe_report.h"
#include "server/training/steps/training_error.h"

namespace attune::training {

// Names an attempt; repeated in every message about it.
struct AttemptFence {
  std::string job;
  int32_t attempt = 0;
  bool operator==(const AttemptFence&) const = default;
};

struct AssignCommand {
  AttemptFence fence;
  FineTuneSpec spec;
  JobPaths paths;
  std::string trace_id;  // that the job belongs to; empty: none
};

struct PredictCommand {
  int64_t request = 0;
  std::string checkpoint_dir;
  std::vector<PredictionInput> inputs;
  int views = 1;  // of each image, averaged
};

struct EvaluateCommand {
  int64_t request = 0;
  EvaluationRequest evaluation;
};

// Measure what an attempt would take. Its fence names none.
struct ProbeCommand {
  int64_t request = 0;
  AssignCommand assignment;
  ProbeScope scope = ProbeScope::kMemoryAndTime;
};

struct ShutdownCommand {};

using Command = std::variant<AssignCommand, PredictCommand, EvaluateCommand, ProbeCommand, ShutdownCommand>;

struct FailureReport {
  FailureCategory category = FailureCategory::kSystem;
  int code = 0;              // google.rpc.Code
  std::string message;       // what happened and what to do
  int64_t step = 0;
  bool retryable = false;
  bool process_lost = false;  // the process cannot go on
  bool not_finite = false;  // the loss or the gradients became NaN or infinite
};

}  // namespace attune::training
