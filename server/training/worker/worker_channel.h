// WorkerChannel: a worker's one stream to its server. Commands come in on a control thread and wait here for the training thread; reports go out through a queue and a
// sending thread, which also sends a heartbeat each second, whatever training does. Thread-safe. This header is free of gRPC, protobuf and torch.
//
// When the stream is lost the process is of no use any more: `on_lost` runs on the control thread, and by default ends the process at once.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto channel, WorkerChannel::Connect({.server = "unix:/run/attune/workers.sock", .worker_id = id, .secret = secret}));
//   Command command = channel->NextCommand();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/training/recipes/evaluation.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/prediction.h"
#include "server/training/recipes/probe/probe_report.h"
#include "server/training/worker/commands.h"

namespace attune::training {

struct WorkerChannelOptions {
  std::string server;     // "unix:/path" or "host:port"
  std::string worker_id;
  std::string secret;
  absl::Duration connect_timeout = absl::Seconds(20);
  absl::Duration heartbeat_interval = absl::Seconds(1);
  std::function<void()> on_lost;  // absent: std::_Exit(kExitStreamLost)
};

class WorkerChannel {
 public:
  // UNAVAILABLE when nobody answers there.
  static absl::StatusOr<std::unique_ptr<WorkerChannel>> Connect(WorkerChannelOptions options);
  ~WorkerChannel();  // closes

  // Waits for the next command; ShutdownCommand again and again once there was one.
  Command NextCommand();
  // What the server wants of `attempt`.
  StopRequest Stop(const AttemptFence& attempt) const;
  // All that its owner has changed so far, when there is news since it was last asked.
  std::optional<LiveSettings> NewSettings(const AttemptFence& attempt);

  // Whether the server wants an evaluation or a probe to end early.
  bool StopsRequest(int64_t request) const;

  // Queued; sent in order. Progress that has not been sent yet is replaced, and metrics are dropped when a server does not read for very long.
  void SendStarted(const AttemptFence& attempt, int64_t resumed_from_step, const std::string& device, int threads);
  void Send(const AttemptFence& attempt, const PhaseReport& report);
  void Send(const AttemptFence& attempt, const ProgressReport& report);
  void Send(const AttemptFence& attempt, const MetricReport& report);
  void Send(const AttemptFence& attempt, const EvaluationReport& report);
  void Send(const AttemptFence& attempt, const CheckpointReport& report);
  void Send(const AttemptFence& attempt, const Adjustment& adjustment);
  void Send(const AttemptFence& attempt, const JobResult& result);
  void Send(const AttemptFence& attempt, const FailureReport& failure);
  void SendLogLine(const AttemptFence& attempt, const std::string& text);
  void SendPrediction(int64_t request, const std::vector<PredictionOutput>& outputs);
  void SendPrediction(int64_t request, const FailureReport& failure);
  // At most each 200 ms, whatever is called.
  void SendEvaluationProgress(int64_t request, int64_t rows_done, int64_t rows_total);
  void SendEvaluation(int64_t request, const EvaluationOutput& output);
  void SendEvaluation(int64_t request, const FailureReport& failure);
  void SendProbe(int64_t request, const ProbeReport& report);
  void SendProbe(int64_t request, const FailureReport& failure);

  // For heartbeats: the step that training is in; 0 when idle.
  void SetStep(int64_t step);

  // Sends what is queued, ends the stream, and waits for the server to end its side; at most `timeout`. Nothing is sent afterwards.
  void Close(absl::Duration timeout = absl::Seconds(10));

 private:
  class State;
  explicit WorkerChannel(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace attune::training
