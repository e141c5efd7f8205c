// The supervisor of SupervisedWorkerPool: launches workers, watches deadlines, and draws conclusions when a worker is gone.
#include <algorithm>
#include <utility>

#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/workers/supervised_worker_pool.h"

namespace attune::workers {
namespace {

// What a dead worker wrote last is read from its socket within moments; this bounds the wait for it.
constexpr absl::Duration kStreamEnd = absl::Seconds(2);
// An idle worker that dies younger than this points to something that will kill the next one too.
constexpr absl::Duration kYoung = absl::Seconds(30);

}  // namespace

void SupervisedWorkerPool::Supervise() {
  absl::Time next = absl::InfinitePast();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      auto wake = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return dirty_ || quit_; };
      mutex_.AwaitWithTimeout(absl::Condition(&wake), next - clock_.Now());
      if (quit_) return;
    }
    next = SuperviseNow();
  }
}

absl::Time SupervisedWorkerPool::SuperviseNow() {
  absl::Time next = absl::InfiniteFuture();
  WithActions([&](Actions& actions) {
    dirty_ = false;
    absl::Time now = clock_.Now();
    next = std::min(CheckDeadlines(now, actions), PlanLaunches(now, actions));
  });
  return next;
}

absl::Time SupervisedWorkerPool::CheckDeadlines(absl::Time now, Actions& actions) {
  absl::Time next = absl::InfiniteFuture();
  std::vector<std::string> ids;
  for (const auto& [id, worker] : workers_) ids.push_back(id);
  for (const std::string& id : ids) {
    next = std::min(next, CheckWorker(*workers_.at(id), now, actions));
    RemoveIfGone(id, actions);
  }
  for (Lane* lane : Lanes()) next = std::min(next, CheckLane(*lane, now, actions));
  return next;
}

absl::Time SupervisedWorkerPool::CheckWorker(Worker& worker, absl::Time now, Actions& actions) {
  if (worker.process_gone) {
    if (worker.deadline > now) return worker.deadline;
    if (worker.session != nullptr) std::exchange(worker.session, nullptr)->Close(absl::AbortedError("the worker's process is gone"));
    return absl::InfiniteFuture();
  }
  if (worker.kill_sent) return absl::InfiniteFuture();
  absl::Time heartbeat = worker.session != nullptr ? worker.last_heard + options_.heartbeat_timeout : absl::InfiniteFuture();
  if (heartbeat > now && worker.deadline > now) return std::min(heartbeat, worker.deadline);
  bool starting = worker.state == WorkerState::kStarting;
  (heartbeat <= now || starting ? worker.facts.heartbeat_expired : worker.facts.stop_expired) = true;
  Log(LogLevel::kWarning, "a worker is killed",
      {{"worker", worker.id}, {"why", starting ? "did not connect" : heartbeat <= now ? "silent" : "did not stop"}});
  KillProcess(worker, actions);
  return absl::InfiniteFuture();
}

absl::Time SupervisedWorkerPool::PlanLaunches(absl::Time now, Actions& actions) {
  if (stopping_) return absl::InfiniteFuture();
  int ready = 0;
  for (const auto& [id, worker] : workers_) {
    ready += !worker->kill_sent && !worker->process_gone &&
             (worker->state == WorkerState::kIdle || worker->state == WorkerState::kStarting);
  }
  int missing = std::max(options_.warm_workers, 1) - ready;
  for (Lane* lane : Lanes()) missing += lane->queue.HasWaiting() && lane->worker.empty();
  if (missing <= 0) return absl::InfiniteFuture();
  if (backoff_.next() > now) return backoff_.next();
  for (int i = 0; i < missing; ++i) {
    auto worker = std::make_unique<Worker>();
    worker->id = NewId('w');
    worker->secret = NewSecret();
    worker->started = now;
    worker->memory_kills = options_.memory_kills();
    worker->deadline = now + options_.launch_timeout;
    actions.push_back([this, id = worker->id, secret = worker->secret] { Launch(id, secret); });
    workers_.emplace(worker->id, std::move(worker));
  }
  dirty_ = true;  // so that the new deadlines are looked at
  return absl::InfiniteFuture();
}

void SupervisedWorkerPool::Launch(const std::string& worker_id, const std::string& secret) {
  absl::Status status =
      launcher_.Launch({worker_id, secret}, [this](const std::string& id, const ExitStatus& exit, std::vector<std::string> log_tail) {
        OnExit(id, exit, std::move(log_tail));
      });
  WithActions([&](Actions& actions) {
    auto found = workers_.find(worker_id);
    if (found == workers_.end()) return;
    if (status.ok()) {
      // A kill that came before there was a process did nothing.
      if (found->second->kill_sent) actions.push_back([this, worker_id] { launcher_.Kill(worker_id); });
      return;
    }
    metrics_.Exited(ExitReason::kLaunchFailed);
    JudgeExit(*found->second, ExitReason::kLaunchFailed, std::string(status.message()));
    workers_.erase(found);
    NotifyChanged(actions);
    dirty_ = true;
  });
}

void SupervisedWorkerPool::OnExit(const std::string& worker_id, const ExitStatus& status, std::vector<std::string> log_tail) {
  WithActions([&](Actions& actions) {
    auto found = workers_.find(worker_id);
    if (found == workers_.end()) return;
    Worker& worker = *found->second;
    worker.process_gone = true;
    worker.facts.status = status;
    worker.facts.memory_kill = options_.memory_kills() > worker.memory_kills;
    worker.log_tail = std::move(log_tail);
    worker.deadline = clock_.Now() + kStreamEnd;
    dirty_ = true;
    RemoveIfGone(worker_id, actions);
  });
}

void SupervisedWorkerPool::KillProcess(Worker& worker, Actions& actions) {
  if (worker.kill_sent || worker.process_gone) return;
  worker.kill_sent = true;
  actions.push_back([this, id = worker.id] { launcher_.Kill(id); });
}

void SupervisedWorkerPool::RemoveIfGone(const std::string& worker_id, Actions& actions) {
  auto found = workers_.find(worker_id);
  if (found == workers_.end()) return;
  Worker& worker = *found->second;
  if (!worker.process_gone || worker.session != nullptr) return;
  worker.facts.attempt_open = worker.attempt.has_value();
  ExitReason reason = ClassifyExit(worker.facts);
  std::string description = DescribeExit(reason, worker.facts.status);
  Log(reason == ExitReason::kClean || reason == ExitReason::kIdleShutdown ? LogLevel::kInfo : LogLevel::kWarning, "worker gone",
      {{"worker", worker.id}, {"reason", ExitReasonName(reason)}, {"exit", worker.facts.status.ToString()}});
  metrics_.Exited(reason);
  JudgeExit(worker, reason, description);
  if (worker.attempt.has_value()) {
    EndAttempt(worker, {WorkerLost{reason, description}, std::move(worker.log_tail)}, actions);
  }
  for (Lane* lane : Lanes()) LeaveLane(*lane, worker_id, description, actions);
  workers_.erase(found);
  for (Lane* lane : Lanes()) Pump(*lane);
  NotifyChanged(actions);
  dirty_ = true;
}

void SupervisedWorkerPool::JudgeExit(const Worker& worker, ExitReason reason, const std::string& description) {
  // Only a death that the work cannot explain says something about launching.
  if (worker.useful || worker.facts.shutdown_requested) return;
  if (worker.facts.said_hello && clock_.Now() - worker.started >= kYoung) {
    backoff_.Succeeded();
    return;
  }
  backoff_.Failed(clock_.Now());
  trouble_ = worker.log_tail.empty() ? description : StrCat(description, ": ", worker.log_tail.back());
  Log(LogLevel::kError, "a worker could not be started",
      {{"worker", worker.id}, {"reason", ExitReasonName(reason)}, {"failures", backoff_.failures()}, {"error", trouble_}});
}

}  // namespace attune::workers
