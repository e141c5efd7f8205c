#include "server/training/worker/worker_loop.h"

#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/log.h"
#include "server/base/trace_context.h"
#include "server/training/recipes/quiet_reporter.h"
#include "server/training/worker/channel_reporter.h"
#include "server/training/worker/command_files.h"
#include "server/training/worker/device_memory.h"
#include "server/training/worker/job_session.h"
#include "server/training/worker/process_guard.h"

namespace attune::training {
namespace {

// False when the process cannot go on.
bool RunAssignment(WorkerChannel& channel, Files& files, const AssignCommand& command) {
  const TraceScope trace(command.trace_id);
  Log(LogLevel::kInfo, "attempt begins", {{"job", command.fence.job}, {"attempt", command.fence.attempt}, {"resume_dir", command.paths.resume_dir}});
  const std::unique_ptr<MemoryMeter> memory = MeterOf(command.spec.device);
  ChannelReporter reporter(channel, command.fence, *memory);
  AttemptOutcome outcome = RunAttempt(command.spec, command.paths, reporter, files);
  if (!outcome.failure.has_value()) {
    Log(LogLevel::kInfo, outcome.result.preempted ? "attempt suspended" : "attempt ended",
        {{"job", command.fence.job}, {"step", reporter.step()}, {"cancelled", outcome.result.cancelled}});
    reporter.SendProgress();
    if (!outcome.result.preempted) channel.Send(command.fence, outcome.result);
    return true;
  }
  FailureReport& failure = *outcome.failure;
  if (failure.step == 0) failure.step = reporter.step();
  Log(LogLevel::kError, "attempt failed", {{"job", command.fence.job}, {"step", failure.step}, {"error", failure.message}});
  channel.Send(command.fence, failure);
  return !failure.process_lost;
}

void RunPrediction(WorkerChannel& channel, PredictionSession& predictions, const PredictCommand& command) {
  const PredictionOutcome outcome = predictions.Predict(command.checkpoint_dir, command.inputs, command.views);
  if (outcome.failure.has_value()) {
    Log(LogLevel::kWarning, "prediction failed", {{"checkpoint", command.checkpoint_dir}, {"error", outcome.failure->message}});
    channel.SendPrediction(command.request, *outcome.failure);
  } else {
    channel.SendPrediction(command.request, outcome.outputs);
  }
}

void RunEvaluationCommand(WorkerChannel& channel, const EvaluateCommand& command) {
  EvaluationControl control;
  control.progress = [&](int64_t done, int64_t total) { channel.SendEvaluationProgress(command.request, done, total); };
  control.stop_requested = [&] { return channel.StopsRequest(command.request); };
  const EvaluationOutcome outcome = RunEvaluation(command.evaluation, control);
  if (outcome.output.has_value()) return channel.SendEvaluation(command.request, *outcome.output);
  if (!outcome.failure.has_value()) {
    return channel.SendEvaluation(command.request, FailureReport{.code = static_cast<int>(absl::StatusCode::kCancelled), .message = "the evaluation was cancelled"});
  }
  Log(LogLevel::kWarning, "evaluation failed", {{"checkpoint", command.evaluation.checkpoint_dir}, {"error", outcome.failure->message}});
  channel.SendEvaluation(command.request, *outcome.failure);
}

// What a probe says goes to the worker's log, and whether its caller has left is asked as for an evaluation.
class ProbeReporter final : public QuietReporter {
 public:
  ProbeReporter(WorkerChannel& channel, int64_t request) : channel_(channel), request_(request) {}
  void LogLine(const std::string& text) override { Log(LogLevel::kInfo, text, {{"plan", request_}}); }
  StopRequest Stop() override { return channel_.StopsRequest(request_) ? StopRequest::kCancel : StopRequest::kNone; }

 private:
  WorkerChannel& channel_;
  const int64_t request_;
};

void RunProbeCommand(WorkerChannel& channel, Files& files, const ProbeCommand& command) {
  ProbeReporter reporter(channel, command.request);
  const ProbeOutcome outcome = RunProbe(command.assignment.spec, command.assignment.paths, command.scope, reporter, files);
  if (outcome.report.has_value()) return channel.SendProbe(command.request, *outcome.report);
  if (!outcome.failure.has_value()) {
    return channel.SendProbe(command.request, FailureReport{.code = static_cast<int>(absl::StatusCode::kCancelled), .message = "the plan was cancelled"});
  }
  Log(LogLevel::kWarning, "a plan could not be made", {{"error", outcome.failure->message}});
  channel.SendProbe(command.request, *outcome.failure);
}

// Tells whoever waits for the command.
void Refuse(WorkerChannel& channel, const Command& command, const absl::Status& status) {
  const FailureReport failure = {.code = static_cast<int>(status.code()), .message = absl::StrCat("the worker's sandbox: ", status.message()), .retryable = true, .process_lost = true};
  Log(LogLevel::kError, "a command was refused", {{"error", failure.message}});
  if (const auto* assign = std::get_if<AssignCommand>(&command)) channel.Send(assign->fence, failure);
  if (const auto* evaluate = std::get_if<EvaluateCommand>(&command)) channel.SendEvaluation(evaluate->request, failure);
  if (const auto* probe = std::get_if<ProbeCommand>(&command)) channel.SendProbe(probe->request, failure);
  if (const auto* predict = std::get_if<PredictCommand>(&command)) channel.SendPrediction(predict->request, failure);
}

}  // namespace

int RunWorker(WorkerChannel& channel, Files& files, workers::Sandbox& sandbox) {
  PredictionSession predictions;
  while (true) {
    const Command command = channel.NextCommand();
    if (std::holds_alternative<ShutdownCommand>(command)) break;
    // Before anything that a tenant has sent is read.
    if (const absl::Status bound = sandbox.Bind(FilesOf(command)); !bound.ok()) {
      Refuse(channel, command, bound);
      channel.Close();
      return kExitSandbox;
    }
    if (const auto* assign = std::get_if<AssignCommand>(&command)) {
      predictions.Clear();  // training needs the memory
      if (RunAssignment(channel, files, *assign)) continue;
      channel.Close();
      return kExitDeviceLost;
    }
    if (const auto* evaluate = std::get_if<EvaluateCommand>(&command)) {
      RunEvaluationCommand(channel, *evaluate);
      continue;
    }
    if (const auto* probe = std::get_if<ProbeCommand>(&command)) {
      RunProbeCommand(channel, files, *probe);
      break;  // its memory is not what it was
    }
    RunPrediction(channel, predictions, std::get<PredictCommand>(command));
  }
  channel.Close();
  return 0;
}

}  // namespace attune::training
