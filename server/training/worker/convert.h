// Between the messages of attune.worker.v1 and our plain values. Pure. Includes generated code: no file that includes this may include torch.
#pragma once

#include "attune/worker/v1/worker.pb.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/probe/probe_report.h"
#include "server/training/worker/commands.h"

namespace attune::training {

AttemptFence FromProto(const worker::v1::Fence& fence);
// Of an effective spec: what is absent gets the default that training_spec.proto names.
FineTuneSpec FromProto(const v1::FineTuningSpec& spec);
AssignCommand FromProto(const worker::v1::Assign& assign);
PredictCommand FromProto(const worker::v1::Predict& predict);
EvaluateCommand FromProto(const worker::v1::Evaluate& evaluate);
ProbeCommand FromProto(const worker::v1::Probe& probe);

LiveSettings FromProto(const v1::LiveSettings& settings);
Adjustment FromProto(const v1::Adjustment& adjustment);

worker::v1::Fence ToProto(const AttemptFence& fence);
v1::Adjustment ToProto(const Adjustment& adjustment);
v1::JobProgress ToProto(const ProgressReport& report);
worker::v1::WorkDone ToProto(const WorkReport& report);
v1::MetricPoint ToProto(const MetricReport& report);
v1::Evaluation ToProto(const EvaluationReport& report);
v1::PhaseStarted ToProto(const PhaseReport& report);
worker::v1::CheckpointWritten ToProto(const CheckpointReport& report);
worker::v1::Finished ToProto(const JobResult& result);
worker::v1::Failed ToProto(const FailureReport& failure);
v1::Prediction ToProto(const PredictionOutput& output);
v1::CheckpointEvaluation ToProto(const EvaluationOutput& output);
v1::PlanFineTuningJobResponse ToProto(const ProbeReport& report);

}  // namespace attune::training
