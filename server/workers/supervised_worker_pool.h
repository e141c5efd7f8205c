// WorkerPool of real workers: launches them through a WorkerLauncher, keeps some idle and warm, talks to each over the stream that it dials, and notices
// when one dies, falls silent or does not stop. Thread-safe. Owned by main.
//
//   auto pool = std::make_unique<SupervisedWorkerPool>(SupervisedWorkerPoolOptions{}, *launcher, Clock::System());
//   ATTUNE_ASSIGN_OR_RETURN(auto endpoint, WorkerEndpoint::Start(socket_path, pool->service()));
//   ... the scheduler calls pool->Start(listener) ...
//   pool->Stop(absl::Seconds(5));  // then the endpoint goes, then the pool, then the launcher
//
// A worker trains one attempt and exits: exit is the only honest return of GPU memory. It is gone when its process has exited and its stream is closed, in
// whatever order; so nothing that it said is missed. The prediction worker stays and keeps the last checkpoint loaded; evaluations, which take minutes, have another,
// which exits when none is left. A plan measures memory, so each has a fresh worker, which exits with its answer. Workers in a sandbox open the files of their first request alone, so one for
// another checkpoint or dataset has a fresh worker, too (separate_inputs); so that predictions with several checkpoints do not wait for one each time, as many prediction workers are kept as the
// options say, each for its own checkpoint.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/workers/launch_backoff.h"
#include "server/metrics/registry_or_own.h"
#include "server/workers/memory_kills.h"
#include "server/workers/request_queue.h"
#include "server/workers/worker_launcher.h"
#include "server/workers/worker_metrics.h"
#include "server/workers/worker_pool.h"
#include "server/workers/worker_session.h"

namespace attune::workers {

struct SupervisedWorkerPoolOptions {
  int warm_workers = 1;  // idle ones to keep ready, at least 1
  absl::Duration launch_timeout = absl::Minutes(2);      // from launch to hello
  absl::Duration heartbeat_timeout = absl::Seconds(30);  // without any message
  absl::Duration stop_timeout = absl::Minutes(1);        // from cancel, suspend or shutdown to the end
  absl::Duration predict_timeout = absl::Minutes(2);     // of one prediction, waiting included
  absl::Duration prediction_idle_timeout = absl::Minutes(10);  // after which the prediction worker is let go
  size_t max_waiting_predictions = 1024;                 // for all prediction workers together
  size_t max_waiting_prediction_bytes = 256 << 20;       // the same, and each for evaluations and plans
  absl::Duration evaluate_wait_timeout = absl::Hours(1);       // of an evaluation that waits for others
  absl::Duration evaluate_silence_timeout = absl::Minutes(5);  // of one under way, without progress
  size_t max_waiting_evaluations = 16;
  std::function<int64_t()> memory_kills = MemoryKills;  // by the kernel, so far
  absl::Duration probe_wait_timeout = absl::Minutes(30);  // of a plan that waits for others
  absl::Duration probe_timeout = absl::Minutes(15);       // of one under way
  size_t max_waiting_probes = 8;
  prometheus::Registry* registry = nullptr;  // of its metrics; null: nobody looks at them
  bool separate_inputs = false;              // no worker serves requests for different checkpoints or datasets
  int prediction_workers = 2;                // with separate_inputs, else 1 serves all; at least 1
  bool own_thread = true;                    // false: the owner calls SuperviseNow
};

class SupervisedWorkerPool final : public WorkerPool, private WorkerSessionHost {
 public:
  SupervisedWorkerPool(SupervisedWorkerPoolOptions options, WorkerLauncher& launcher, const Clock& clock);
  ~SupervisedWorkerPool() override;  // stops without grace when Stop was not called

  // What workers dial; to be registered with a private server.
  grpc::Service& service() { return service_; }

  void Start(WorkerPoolListener& listener) override;
  absl::Status Assign(const worker::v1::Assign& assignment) override;
  void Cancel(const AttemptId& attempt) override;
  void Suspend(const AttemptId& attempt) override;
  void Adjust(const AttemptId& attempt, const v1::LiveSettings& settings) override;
  void Kill(const AttemptId& attempt) override;
  void Predict(worker::v1::Predict prediction, PredictCallback done) override;
  int64_t Evaluate(worker::v1::Evaluate evaluation, EvaluateCallbacks callbacks) override;
  void CancelEvaluation(int64_t id) override;
  int64_t Probe(worker::v1::Probe probe, ProbeCallback done) override;
  void CancelProbe(int64_t id) override;
  PoolStatus Status() override;
  void Stop(absl::Duration grace) override;

  // For an owner whose options say that there is no thread. Launches what is missing, and looks at deadlines; the next one is returned.
  absl::Time SuperviseNow();

  // Makes the supervisor look at the clock now.
  void WakeForTest();
  // What streams are for: workers that are made of messages alone.
  WorkerSessionHost& SessionHostForTest() { return *this; }
  // Messages refused because their fence was not the worker's.
  int64_t RefusedMessagesForTest();

 private:
  enum class WorkerState { kStarting, kIdle, kAttempt, kServing, kLeaving };
  struct Worker {
    std::string id;
    std::string secret;
    WorkerState state = WorkerState::kStarting;
    std::shared_ptr<WorkerSession> session;  // from hello until the stream is closed
    std::optional<AttemptId> attempt;        // open: not yet reported as ended
    bool process_gone = false;
    ExitFacts facts;
    std::vector<std::string> log_tail;       // once the process is gone
    absl::Time started, last_heard;
    int64_t memory_kills = 0;                // before it was launched
    absl::Time deadline = absl::InfiniteFuture();  // for launch, stop, or the stream's end; then it is killed
    bool kill_sent = false;
    bool useful = false;                     // did or was given work: its death says nothing about launching
  };
  // Requests of one kind, and the worker that serves them.
  struct Lane {
    RequestQueue queue;
    const char* noun;    // what one of them is called, and what helps when it takes too long
    const char* advice;
    absl::Duration idle_timeout = absl::ZeroDuration();         // after which the worker is let go
    absl::Duration silence_timeout = absl::InfiniteDuration();  // of the one under way; infinite: its deadline stays that of its creation
    bool fresh_worker_each = false;                             // the worker is let go with its answer
    std::string worker;                                         // id; empty when there is none
    std::string inputs;                                         // of its first request: InputsOf
    absl::Time last_used = absl::InfinitePast();
  };
  // Callbacks and launches, to be run in order without the lock.
  using Actions = std::vector<std::function<void()>>;

  // WorkerSessionHost.
  absl::Status OnHello(const std::shared_ptr<WorkerSession>& session, const worker::v1::Hello& hello) override;
  void OnMessage(const WorkerSession& session, worker::v1::ConnectRequest message) override;
  void OnClosed(const WorkerSession& session) override;
  void OnExit(const std::string& worker_id, const ExitStatus& status, std::vector<std::string> log_tail);

  // worker_supervision.cc: the supervisor thread and what it decides.
  void Supervise();
  absl::Time CheckDeadlines(absl::Time now, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time CheckWorker(Worker& worker, absl::Time now, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time PlanLaunches(absl::Time now, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Launch(const std::string& worker_id, const std::string& secret);
  void KillProcess(Worker& worker, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LetGo(Worker& worker) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveIfGone(const std::string& worker_id, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JudgeExit(const Worker& worker, ExitReason reason, const std::string& description) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::vector<Lane*> Lanes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // worker_requests.cc. AddRequest gives the request's number, or 0 when it was refused.
  int64_t AddRequest(Lane& lane, worker::v1::ConnectResponse command, RequestQueue::Callbacks callbacks, absl::Duration wait, Actions& actions)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Lane& PredictionLaneFor(const std::string& inputs) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Relieve(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Lane* PredictionLaneOf(const std::string& worker_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CancelRequest(Lane& lane, int64_t id, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleProgress(const worker::v1::ConnectRequest& message, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleAnswer(Lane& lane, worker::v1::ConnectRequest message, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time CheckLane(Lane& lane, absl::Time now, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeaveLane(Lane& lane, const std::string& worker_id, const std::string& description, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void HandleMessage(Worker& worker, worker::v1::ConnectRequest message, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAttempt(Worker& worker, AttemptEnd end, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ProtocolError(Worker& worker, const char* what, Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Worker* FindIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Worker* FindAttempt(const AttemptId& attempt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NotifyChanged(Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls body(actions) with the lock held, and then runs the actions without it.
  template <typename Body>
  void WithActions(Body body);

  // Constant after construction.
  const SupervisedWorkerPoolOptions options_;
  WorkerLauncher& launcher_;
  const Clock& clock_;
  WorkerConnectService service_;
  metrics::RegistryOrOwn registry_;
  WorkerMetrics metrics_;

  absl::Mutex mutex_;
  WorkerPoolListener* listener_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::map<std::string, std::unique_ptr<Worker>> workers_ ABSL_GUARDED_BY(mutex_);
  LaunchBackoff backoff_ ABSL_GUARDED_BY(mutex_);
  std::string trouble_ ABSL_GUARDED_BY(mutex_);
  std::vector<Lane> predictions_ ABSL_GUARDED_BY(mutex_);  // as many as may have a worker
  Lane evaluations_ ABSL_GUARDED_BY(mutex_), probes_ ABSL_GUARDED_BY(mutex_);
  int64_t refused_messages_ ABSL_GUARDED_BY(mutex_) = 0;
  bool dirty_ ABSL_GUARDED_BY(mutex_) = false;     // the supervisor should look again
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // nothing is launched or assigned any more
  bool quit_ ABSL_GUARDED_BY(mutex_) = false;      // the supervisor ends
  int callbacks_ ABSL_GUARDED_BY(mutex_) = 0;      // threads that may be calling the listener
  std::thread supervisor_;
};

template <typename Body>
void SupervisedWorkerPool::WithActions(Body body) {
  Actions actions;
  {
    absl::MutexLock lock(&mutex_);
    body(actions);
    if (actions.empty()) return;
    ++callbacks_;
  }
  for (const auto& action : actions) action();
  absl::MutexLock lock(&mutex_);
  --callbacks_;
}

}  // namespace attune::workers
