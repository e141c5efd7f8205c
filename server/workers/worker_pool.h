// WorkerPool: what the scheduler sees of the workers. Interface; supervised_worker_pool runs real processes, tests/fakes/fake_worker_pool.h none.
// Thread-safe. Owned by main.
//
// An idle worker is warm: LibTorch is loaded and it waits for its one attempt. Each Assign is answered by any number of OnAttemptMessage and exactly one
// OnAttemptEnded, whatever happens to the worker; what a superseded attempt still says is refused here. Predictions have a worker of their own,
// so that a running job does not hold them up, and so have evaluations. Each plan has a fresh one, beside running jobs as an evaluation's, one plan at a time.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/common.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/worker/v1/worker.pb.h"
#include "server/workers/exit_reason.h"

namespace attune::workers {

// The fencing token.
struct AttemptId {
  std::string job;  // fineTuningJobs/{id}
  int attempt = 0;  // from 1
  friend bool operator==(const AttemptId& a, const AttemptId& b) { return a.job == b.job && a.attempt == b.attempt; }
};

// The worker is gone and has not said how the attempt ended.
struct WorkerLost {
  ExitReason reason = ExitReason::kCrashed;
  std::string description;  // for people
};

struct AttemptEnd {
  std::variant<worker::v1::Finished, worker::v1::Failed, WorkerLost> how;
  std::vector<std::string> log_tail;  // last lines of the worker's standard error
};

// Called from the pool's threads, in the order in which the worker spoke. Must not block and not call back into the pool.
class WorkerPoolListener {
 public:
  virtual ~WorkerPoolListener() = default;
  // Started, metrics, progress, evaluations, checkpoints, phases and log lines.
  virtual void OnAttemptMessage(const AttemptId& attempt, worker::v1::ConnectRequest message) = 0;
  virtual void OnAttemptEnded(const AttemptId& attempt, AttemptEnd end) = 0;
  // Status() may have changed.
  virtual void OnWorkersChanged() = 0;
};

struct PoolStatus {
  int idle = 0;
  int starting = 0;
  int busy = 0;         // with an attempt, predictions, evaluations or a plan
  std::string trouble;  // why workers can't be started; empty when they can
};

class WorkerPool {
 public:
  using PredictCallback = std::function<void(absl::StatusOr<std::vector<v1::Prediction>>)>;
  struct EvaluateCallbacks {
    std::function<void(const v1::EvaluateProgress&)> progress;               // any number of times
    std::function<void(absl::StatusOr<v1::CheckpointEvaluation>)> done;  // once; without the names of checkpoint and dataset
  };

  using ProbeCallback = std::function<void(absl::StatusOr<v1::PlanFineTuningJobResponse>)>;  // once; without what only the server knows

  virtual ~WorkerPool() = default;
  // Begins to launch workers. Once; the listener must outlive the pool or the call of Stop.
  virtual void Start(WorkerPoolListener& listener) = 0;
  // Gives the attempt to an idle worker; UNAVAILABLE when there is none (OnWorkersChanged tells when to try again).
  virtual absl::Status Assign(const worker::v1::Assign& assignment) = 0;
  // Asks for the end of an attempt, after the step it is in; a worker that does not obey in time is killed. Unknown attempts are ignored.
  virtual void Cancel(const AttemptId& attempt) = 0;
  // The same, for an attempt that will go on later: the worker writes a checkpoint if it can and exits.
  virtual void Suspend(const AttemptId& attempt) = 0;
  // Hands on what the owner of the job has changed. Unknown attempts are ignored: the next one is assigned with it.
  virtual void Adjust(const AttemptId& attempt, const v1::LiveSettings& settings) = 0;
  // At once.
  virtual void Kill(const AttemptId& attempt) = 0;
  // Of texts or images with a checkpoint; the pool numbers the request. `done` runs on a pool thread, or on the caller's when the call is refused at once. UNAVAILABLE when the worker was lost or the pool stops,
  // RESOURCE_EXHAUSTED when too many wait, DEADLINE_EXCEEDED when it takes too long, otherwise the worker's answer.
  virtual void Predict(worker::v1::Predict prediction, PredictCallback done) = 0;
  // The same for an evaluation, which may take minutes: callbacks, errors and number as there. Returns the number for CancelEvaluation.
  virtual int64_t Evaluate(worker::v1::Evaluate evaluation, EvaluateCallbacks callbacks) = 0;
  // Ends it early: `done` gets CANCELLED, unless it was over. Unknown numbers are ignored.
  virtual void CancelEvaluation(int64_t id) = 0;
  // Measures what an attempt would take; takes up to some minutes. Callback, errors and number as of evaluations.
  virtual int64_t Probe(worker::v1::Probe probe, ProbeCallback done) = 0;
  virtual void CancelProbe(int64_t id) = 0;
  virtual PoolStatus Status() = 0;
  // Tells all workers to exit, waits up to `grace`, kills the rest. After it returns the listener is not called any more.
  virtual void Stop(absl::Duration grace) = 0;
};

}  // namespace attune::workers
