// What the scheduler asks of the pool, and what workers say. Launching and watching: worker_supervision.cc; predictions, evaluations and probes: worker_requests.cc.
#include "server/workers/supervised_worker_pool.h"

#include <algorithm>
#include <utility>

#include "server/base/log.h"
#include "server/base/str_cat.h"

namespace attune::workers {
namespace {

AttemptId AttemptOf(const worker::v1::Fence& fence) { return {fence.job(), fence.attempt()}; }

worker::v1::ConnectResponse ShutdownCommand() {
  worker::v1::ConnectResponse command;
  command.mutable_shutdown();
  return command;
}

}  // namespace

SupervisedWorkerPool::SupervisedWorkerPool(SupervisedWorkerPoolOptions options, WorkerLauncher& launcher, const Clock& clock)
    : options_(options),
      launcher_(launcher),
      clock_(clock),
      service_(*this),
      registry_(options.registry),
      metrics_(registry_.get()),
      evaluations_{.queue = RequestQueue("evaluations", std::make_shared<RequestQueue::Budget>(options.max_waiting_evaluations, options.max_waiting_prediction_bytes)),
                   .noun = "evaluation",
                   .advice = "lower batch_size",
                   .silence_timeout = options.evaluate_silence_timeout},
      probes_{.queue = RequestQueue("plans", std::make_shared<RequestQueue::Budget>(options.max_waiting_probes, options.max_waiting_prediction_bytes)),
              .noun = "plan",
              .advice = "lower batch_size",
              .silence_timeout = options.probe_timeout,
              .fresh_worker_each = true} {
  const int count = options.separate_inputs ? std::max(options.prediction_workers, 1) : 1;
  const auto budget = std::make_shared<RequestQueue::Budget>(options.max_waiting_predictions, options.max_waiting_prediction_bytes);
  for (int i = 0; i < count; ++i) {
    predictions_.push_back({.queue = RequestQueue("predictions", budget),
                            .noun = "prediction",
                            .advice = "send fewer or shorter texts at once",
                            .idle_timeout = options.prediction_idle_timeout});
  }
}

SupervisedWorkerPool::~SupervisedWorkerPool() { Stop(absl::ZeroDuration()); }

void SupervisedWorkerPool::Start(WorkerPoolListener& listener) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || supervisor_.joinable()) return;
  listener_ = &listener;
  dirty_ = true;
  if (options_.own_thread) supervisor_ = std::thread([this] { Supervise(); });
}

absl::Status SupervisedWorkerPool::Assign(const worker::v1::Assign& assignment) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the server is shutting down");
  Worker* worker = FindIdle();
  if (worker == nullptr) return absl::UnavailableError("no worker is ready yet");
  worker->state = WorkerState::kAttempt;
  worker->attempt = AttemptOf(assignment.fence());
  worker->useful = true;
  backoff_.Succeeded();
  dirty_ = true;  // another one takes its place
  worker::v1::ConnectResponse command;
  *command.mutable_assign() = assignment;
  worker->session->Send(std::move(command));
  return absl::OkStatus();
}

void SupervisedWorkerPool::Cancel(const AttemptId& attempt) {
  absl::MutexLock lock(&mutex_);
  Worker* worker = FindAttempt(attempt);
  if (worker == nullptr || worker->session == nullptr) return;
  worker::v1::ConnectResponse command;
  command.mutable_cancel()->mutable_fence()->set_job(attempt.job);
  command.mutable_cancel()->mutable_fence()->set_attempt(attempt.attempt);
  worker->session->Send(std::move(command));
  worker->deadline = std::min(worker->deadline, clock_.Now() + options_.stop_timeout);
  dirty_ = true;
}

void SupervisedWorkerPool::Suspend(const AttemptId& attempt) {
  absl::MutexLock lock(&mutex_);
  Worker* worker = FindAttempt(attempt);
  if (worker == nullptr || worker->session == nullptr) return;
  worker->facts.shutdown_requested = true;
  worker->session->Send(ShutdownCommand());
  worker->deadline = std::min(worker->deadline, clock_.Now() + options_.stop_timeout);
  dirty_ = true;
}

void SupervisedWorkerPool::Adjust(const AttemptId& attempt, const v1::LiveSettings& settings) {
  absl::MutexLock lock(&mutex_);
  Worker* worker = FindAttempt(attempt);
  if (worker == nullptr || worker->session == nullptr) return;
  worker::v1::ConnectResponse command;
  command.mutable_adjust()->mutable_fence()->set_job(attempt.job);
  command.mutable_adjust()->mutable_fence()->set_attempt(attempt.attempt);
  *command.mutable_adjust()->mutable_live_settings() = settings;
  worker->session->Send(command);
}

void SupervisedWorkerPool::Kill(const AttemptId& attempt) {
  WithActions([&](Actions& actions) {
    Worker* worker = FindAttempt(attempt);
    if (worker == nullptr) return;
    worker->facts.stop_expired = true;
    KillProcess(*worker, actions);
  });
}

PoolStatus SupervisedWorkerPool::Status() {
  absl::MutexLock lock(&mutex_);
  PoolStatus status;
  status.trouble = trouble_;
  for (const auto& [id, worker] : workers_) {
    status.idle += worker->state == WorkerState::kIdle && worker->session != nullptr;
    status.starting += worker->state == WorkerState::kStarting;
    status.busy += worker->state == WorkerState::kAttempt || worker->state == WorkerState::kServing;
  }
  return status;
}

void SupervisedWorkerPool::Stop(absl::Duration grace) {
  WithActions([&](Actions& actions) {
    stopping_ = true;
    for (auto& [id, worker] : workers_) {
      worker->facts.shutdown_requested = true;
      if (worker->session != nullptr) {
        worker->session->Send(ShutdownCommand());
      } else {
        KillProcess(*worker, actions);
      }
    }
    for (Lane* lane : Lanes()) {
      for (RequestQueue::Entry& entry : lane->queue.TakeAll()) {
        actions.push_back([done = std::move(entry.callbacks.done)] { done(absl::UnavailableError("the server is shutting down")); });
      }
    }
  });
  auto none_left = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return workers_.empty(); };
  {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&none_left), grace);
  }
  WithActions([&](Actions& actions) {
    for (auto& [id, worker] : workers_) {
      worker->facts.stop_expired = true;
      KillProcess(*worker, actions);
    }
  });
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&none_left));  // SIGKILL works
    quit_ = true;
  }
  if (supervisor_.joinable()) supervisor_.join();
  absl::MutexLock lock(&mutex_);
  auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return callbacks_ == 0; };
  mutex_.Await(absl::Condition(&quiet));
  listener_ = nullptr;
}

absl::Status SupervisedWorkerPool::OnHello(const std::shared_ptr<WorkerSession>& session, const worker::v1::Hello& hello) {
  absl::Status status;
  WithActions([&](Actions& actions) {
    auto found = workers_.find(hello.worker_id());
    // The same words for both: whoever guesses ids learns nothing.
    if (found == workers_.end() || found->second->secret != hello.secret()) {
      Log(LogLevel::kWarning, "a worker was refused", {{"worker", hello.worker_id()}, {"pid", hello.pid()}});
      status = absl::PermissionDeniedError("unknown worker, or wrong secret; workers are started by the server only");
      return;
    }
    Worker& worker = *found->second;
    if (worker.facts.said_hello || worker.process_gone) {
      status = absl::AlreadyExistsError("this worker has connected before");
      return;
    }
    worker.session = session;
    worker.facts.said_hello = true;
    worker.state = WorkerState::kIdle;
    worker.last_heard = clock_.Now();
    metrics_.start_seconds.Observe(absl::ToDoubleSeconds(worker.last_heard - worker.started));
    worker.deadline = absl::InfiniteFuture();
    trouble_.clear();
    if (stopping_) session->Send(ShutdownCommand());
    for (Lane* lane : Lanes()) Pump(*lane);
    NotifyChanged(actions);
    dirty_ = true;
  });
  return status;
}

void SupervisedWorkerPool::OnMessage(const WorkerSession& session, worker::v1::ConnectRequest message) {
  WithActions([&](Actions& actions) {
    auto found = workers_.find(session.worker_id());
    if (found == workers_.end()) return;  // given up already
    found->second->last_heard = clock_.Now();
    HandleMessage(*found->second, std::move(message), actions);
  });
}

void SupervisedWorkerPool::OnClosed(const WorkerSession& session) {
  WithActions([&](Actions& actions) {
    auto found = workers_.find(session.worker_id());
    if (found == workers_.end() || found->second->session.get() != &session) return;
    Worker& worker = *found->second;
    worker.session = nullptr;
    // A worker that loses the stream exits by itself.
    worker.deadline = std::min(worker.deadline, clock_.Now() + options_.stop_timeout);
    dirty_ = true;
    RemoveIfGone(worker.id, actions);
  });
}

void SupervisedWorkerPool::HandleMessage(Worker& worker, worker::v1::ConnectRequest message, Actions& actions) {
  using Kind = worker::v1::ConnectRequest::KindCase;
  switch (message.kind_case()) {
    case Kind::kHeartbeat:
      return;
    case Kind::kHello:
      return ProtocolError(worker, "a second hello", actions);
    case Kind::KIND_NOT_SET:
      return ProtocolError(worker, "an empty message", actions);
    case Kind::kPredictDone:
      if (Lane* lane = PredictionLaneOf(worker.id)) return HandleAnswer(*lane, std::move(message), actions);
      return ProtocolError(worker, "a prediction that nobody asked for", actions);
    case Kind::kEvaluateProgress:
    case Kind::kEvaluateDone:
      if (worker.id != evaluations_.worker) return ProtocolError(worker, "an evaluation that nobody asked for", actions);
      if (message.has_evaluate_progress()) return HandleProgress(message, actions);
      return HandleAnswer(evaluations_, std::move(message), actions);
    case Kind::kProbeDone:
      if (worker.id != probes_.worker) return ProtocolError(worker, "a plan that nobody asked for", actions);
      return HandleAnswer(probes_, std::move(message), actions);
    default:
      break;
  }
  if (!message.has_fence() && message.kind_case() == Kind::kLogLine) {
    Log(LogLevel::kInfo, "worker", {{"worker", worker.id}, {"line", message.log_line().text()}});
    return;
  }
  AttemptId attempt = AttemptOf(message.fence());
  if (!worker.attempt.has_value() || !(*worker.attempt == attempt)) {
    ++refused_messages_;
    Log(LogLevel::kWarning, "a message about a superseded attempt was refused",
        {{"worker", worker.id}, {"job", attempt.job}, {"attempt", attempt.attempt}});
    return;
  }
  if (message.has_finished() || message.has_failed()) {
    AttemptEnd end;
    if (message.has_finished()) {
      end.how = std::move(*message.mutable_finished());
    } else {
      end.how = std::move(*message.mutable_failed());
    }
    EndAttempt(worker, std::move(end), actions);
    LetGo(worker);
    return;
  }
  actions.push_back([listener = listener_, attempt, message = std::move(message)]() mutable {
    listener->OnAttemptMessage(attempt, std::move(message));
  });
}

void SupervisedWorkerPool::EndAttempt(Worker& worker, AttemptEnd end, Actions& actions) {
  AttemptId attempt = *worker.attempt;
  worker.attempt.reset();
  bool running = !worker.process_gone;
  actions.push_back([this, listener = listener_, attempt, id = worker.id, running, end = std::move(end)]() mutable {
    if (running) end.log_tail = launcher_.LogTail(id);
    listener->OnAttemptEnded(attempt, std::move(end));
  });
}

void SupervisedWorkerPool::LetGo(Worker& worker) {
  worker.state = WorkerState::kLeaving;
  worker.facts.shutdown_requested = true;
  if (worker.session != nullptr) worker.session->Send(ShutdownCommand());
  worker.deadline = clock_.Now() + options_.stop_timeout;
  dirty_ = true;
}

void SupervisedWorkerPool::ProtocolError(Worker& worker, const char* what, Actions& actions) {
  Log(LogLevel::kError, "a worker broke the protocol", {{"worker", worker.id}, {"sent", what}});
  worker.facts.protocol_error = true;
  KillProcess(worker, actions);
}

SupervisedWorkerPool::Worker* SupervisedWorkerPool::FindIdle() {
  for (auto& [id, worker] : workers_) {
    if (worker->state == WorkerState::kIdle && worker->session != nullptr && !worker->kill_sent && !worker->process_gone) return worker.get();
  }
  return nullptr;
}

SupervisedWorkerPool::Worker* SupervisedWorkerPool::FindAttempt(const AttemptId& attempt) {
  for (auto& [id, worker] : workers_) {
    if (worker->attempt.has_value() && *worker->attempt == attempt) return worker.get();
  }
  return nullptr;
}

std::vector<SupervisedWorkerPool::Lane*> SupervisedWorkerPool::Lanes() {
  std::vector<Lane*> lanes;  // predictions first: they have the shortest patience
  for (Lane& lane : predictions_) lanes.push_back(&lane);
  lanes.insert(lanes.end(), {&evaluations_, &probes_});
  return lanes;
}

void SupervisedWorkerPool::NotifyChanged(Actions& actions) {
  if (listener_ != nullptr) actions.push_back([listener = listener_] { listener->OnWorkersChanged(); });
}

void SupervisedWorkerPool::WakeForTest() {
  absl::MutexLock lock(&mutex_);
  dirty_ = true;
}

int64_t SupervisedWorkerPool::RefusedMessagesForTest() {
  absl::MutexLock lock(&mutex_);
  return refused_messages_;
}

}  // namespace attune::workers
