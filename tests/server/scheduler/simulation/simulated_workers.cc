#include "tests/server/scheduler/simulation/simulated_workers.h"

#include <algorithm>
#include <utility>

#include "tests/server/scheduler/simulation/trained.h"

namespace attune::simulation {
namespace {

constexpr absl::Duration kHeartbeatTimeout = absl::Seconds(30);
constexpr absl::Duration kStopTimeout = absl::Minutes(1);

}  // namespace

void SimulatedWorkers::Start(workers::WorkerPoolListener& listener) {
  listener_ = &listener;
  for (int i = 0; i < scenario_.warm_workers; ++i) Launch();
}

void SimulatedWorkers::Launch() {
  ++starting_;
  world_.AfterInServer(world_.random.Milliseconds(50, 2000), [this] {
    if (listener_ == nullptr) return;
    --starting_;
    if (world_.FaultChance(scenario_.launch_fails)) {
      trouble_ = "the disk is full";
      world_.Trace("a worker could not be launched");
      world_.AfterInServer(absl::Seconds(1), [this] {
        if (listener_ != nullptr) Launch();
      });
    } else {
      trouble_.clear();
      ++idle_;
    }
    listener_->OnWorkersChanged();
  });
}

absl::Status SimulatedWorkers::Assign(const worker::v1::Assign& assignment) {
  const workers::AttemptId attempt{assignment.fence().job(), assignment.fence().attempt()};
  if (idle_ == 0) return absl::UnavailableError("no worker is ready yet");
  if (world_.FaultChance(scenario_.assign_refused)) {
    // The idle worker has died a moment ago.
    --idle_;
    Launch();
    return absl::UnavailableError("no worker is ready yet");
  }
  --idle_;
  Launch();
  rules_.OnAssign(assignment);
  auto worker = std::make_shared<Worker>();
  worker->attempt = attempt;
  worker->output = assignment.output_dir();
  worker->steps = StepsOf(attempt.job);
  worker->every = world_.random.Between(1, 4);
  worker->step_time = world_.random.Milliseconds(50, 1500);
  open_.push_back(worker);
  world_.Trace("attempt ", attempt.attempt, " of ", attempt.job, " has a worker, from \"", assignment.resume_dir(), "\"");
  world_.AfterInServer(world_.random.Milliseconds(5, 1000), [this, worker, resume = assignment.resume_dir()] { Load(worker, resume); });
  return absl::OkStatus();
}

SimulatedWorkers::WorkerPtr SimulatedWorkers::Find(const workers::AttemptId& attempt) {
  for (const WorkerPtr& worker : open_) {
    if (worker->attempt == attempt) return worker;
  }
  return nullptr;
}

void SimulatedWorkers::Tell(const workers::AttemptId& attempt, bool cancel) {
  WorkerPtr worker = Find(attempt);
  if (worker == nullptr || worker->gone) return;
  world_.Trace("attempt ", attempt.attempt, " of ", attempt.job, " is asked to ", cancel ? "cancel" : "suspend");
  if (!world_.FaultChance(scenario_.worker_disobeys)) {
    world_.AfterInServer(world_.Latency(), [worker, cancel] { (cancel ? worker->cancel : worker->suspend) = true; });
  }
  world_.AfterInServer(kStopTimeout, [this, worker] { Die(worker, workers::ExitReason::kKilled, "did not stop in time"); });
}

void SimulatedWorkers::Kill(const workers::AttemptId& attempt) {
  WorkerPtr worker = Find(attempt);
  if (worker == nullptr) return;
  world_.AfterInServer(world_.random.Milliseconds(0, 20), [this, worker] { Die(worker, workers::ExitReason::kKilled, "was killed"); });
}

void SimulatedWorkers::Stop(absl::Duration) {
  if (listener_ == nullptr) return;
  for (const WorkerPtr& worker : open_) {
    worker->gone = worker->closed = true;
    listener_->OnAttemptEnded(worker->attempt, {workers::WorkerLost{workers::ExitReason::kKilled, "killed at the end of the server"}, {}});
    rules_.OnEndDelivered(worker->attempt);
  }
  open_.clear();
  listener_ = nullptr;
}

int64_t SimulatedWorkers::Probe(worker::v1::Probe probe, ProbeCallback done) {
  const int64_t id = ++last_probe_;
  probes_[id] = std::move(done);
  world_.AfterInServer(world_.random.Milliseconds(10, 3000), [this, id, memory = MemoryOf(probe.assignment().effective_spec())] {
    auto found = probes_.extract(id);
    if (found.empty()) return;
    if (world_.FaultChance(scenario_.plan_fails)) return found.mapped()(absl::UnavailableError("the worker was lost"));
    v1::PlanFineTuningJobResponse plan;
    plan.set_device("cpu");
    plan.mutable_memory()->set_peak_bytes(memory);
    found.mapped()(std::move(plan));
  });
  return id;
}

void SimulatedWorkers::CancelProbe(int64_t id) {
  world_.AfterInServer(world_.Latency(), [this, id] {
    if (auto found = probes_.extract(id); !found.empty()) found.mapped()(absl::CancelledError("cancelled"));
  });
}

void SimulatedWorkers::Load(const WorkerPtr& worker, const std::string& resume) {
  if (worker->gone) return;
  worker->trained = TrainedAtStart(worker->attempt.job);
  if (!resume.empty()) {
    const absl::StatusOr<Trained> trained = ReadTrained(resume);
    if (!trained.ok()) return world_.Fail("attempt ", worker->attempt.attempt, " of ", worker->attempt.job, " cannot go on from ", resume, ": ", trained.status().ToString());
    worker->step = worker->saved = trained->step;
    worker->trained = trained->value;
  }
  worker::v1::ConnectRequest started = About(*worker);
  started.mutable_started()->set_resumed_from_step(worker->step);
  started.mutable_started()->set_device("cpu");
  Send(worker, std::move(started));
  world_.AfterInServer(worker->step_time, [this, worker] { Train(worker); });
}

void SimulatedWorkers::Train(const WorkerPtr& worker) {
  if (worker->gone) return;
  if (world_.FaultChance(scenario_.worker_dies)) return Die(worker, workers::ExitReason::kCrashed, "crashed");
  if (world_.FaultChance(scenario_.worker_hangs)) {
    world_.Trace("attempt ", worker->attempt.attempt, " of ", worker->attempt.job, " hangs");
    return world_.AfterInServer(kHeartbeatTimeout, [this, worker] { Die(worker, workers::ExitReason::kKilled, "fell silent"); });
  }
  if (world_.FaultChance(scenario_.worker_fails)) {
    workers::AttemptEnd end;
    worker::v1::Failed failed;
    failed.set_category(world_.random.Chance(0.5) ? v1::FailureInfo::CATEGORY_RESOURCE : v1::FailureInfo::CATEGORY_USER);
    failed.set_retryable(failed.category() == v1::FailureInfo::CATEGORY_RESOURCE);
    failed.set_code(8);
    failed.set_message("the worker could not go on");
    failed.set_step(worker->step);
    worker->gone = true;
    end.how = failed;
    return Send(worker, std::move(end));
  }
  if (worker->cancel || worker->suspend) return Obey(worker);
  if (worker->step >= worker->steps) return Complete(worker);
  ++worker->step;
  worker->trained = TrainedNext(worker->trained);
  worker::v1::ConnectRequest progress = About(*worker);
  progress.mutable_progress()->set_step(worker->step);
  progress.mutable_progress()->set_total_steps(worker->steps);
  progress.mutable_progress()->set_eta_seconds(absl::ToDoubleSeconds(worker->step_time) * static_cast<double>(worker->steps - worker->step + 1));
  Send(worker, std::move(progress));
  if (world_.random.Chance(0.3)) {
    worker::v1::ConnectRequest metrics = About(*worker);
    metrics.mutable_metrics()->set_step(worker->step);
    Send(worker, std::move(metrics));
  }
  if (worker->step % worker->every == 0 && worker->step < worker->steps) {
    Save(worker, /*is_best=*/false);
  }
  world_.AfterInServer(std::max(worker->step_time, absl::Milliseconds(40)), [this, worker] { Train(worker); });
}

void SimulatedWorkers::Obey(const WorkerPtr& worker) {
  if (worker->suspend && !worker->cancel && world_.random.Chance(0.8)) Save(worker, /*is_best=*/false);
  if (world_.random.Chance(0.5)) return Die(worker, workers::ExitReason::kClean, "exited on request");
  worker->gone = true;
  worker::v1::Finished finished;
  finished.set_cancelled(true);
  Send(worker, workers::AttemptEnd{finished, {}});
}

void SimulatedWorkers::Complete(const WorkerPtr& worker) {
  Save(worker, /*is_best=*/true);
  worker->gone = true;
  worker::v1::Finished finished;
  finished.set_best_step(worker->step);
  Send(worker, workers::AttemptEnd{finished, {}});
}

void SimulatedWorkers::Save(const WorkerPtr& worker, bool is_best) {
  if (worker->step == worker->saved) return;
  worker->saved = worker->step;
  const std::string name = "step-" + std::to_string(worker->step);
  if (const absl::Status status = WriteTrained(worker->output + "/checkpoints/" + name, {worker->step, worker->trained}); !status.ok()) {
    return world_.Fail("attempt ", worker->attempt.attempt, " of ", worker->attempt.job, " cannot save: ", status.ToString());
  }
  worker::v1::ConnectRequest written = About(*worker);
  written.mutable_checkpoint_written()->set_step(worker->step);
  written.mutable_checkpoint_written()->set_directory(name);
  written.mutable_checkpoint_written()->set_is_best(is_best);
  // Training goes on while it is written, and the process may die before it has said so.
  if (is_best || worker->suspend) return Send(worker, std::move(written));
  world_.AfterInServer(world_.random.Milliseconds(0, 30), [this, worker, written = std::move(written)] {
    if (!worker->gone) Send(worker, written);
  });
}

void SimulatedWorkers::Die(const WorkerPtr& worker, workers::ExitReason reason, const char* how) {
  if (worker->gone) return;
  worker->gone = true;
  // What it had not handed to the system yet is lost with it.
  if (reason != workers::ExitReason::kClean && !worker->sent.empty() && world_.random.Chance(0.5)) {
    worker->sent.resize(static_cast<size_t>(world_.random.Between(0, static_cast<int64_t>(worker->sent.size()))));
  }
  Send(worker, workers::AttemptEnd{workers::WorkerLost{reason, how}, {}});
}

worker::v1::ConnectRequest SimulatedWorkers::About(const Worker& worker) {
  worker::v1::ConnectRequest message;
  message.mutable_fence()->set_job(worker.attempt.job);
  message.mutable_fence()->set_attempt(worker.attempt.attempt);
  return message;
}

void SimulatedWorkers::Send(const WorkerPtr& worker, Message message) {
  worker->sent.push_back(std::move(message));
  worker->arrives = std::max(worker->arrives, world_.Now() + world_.Latency());
  world_.AfterInServer(worker->arrives - world_.Now(), [this, worker] { Deliver(worker); });
}

void SimulatedWorkers::Deliver(const WorkerPtr& worker) {
  if (worker->closed || worker->sent.empty() || listener_ == nullptr) return;  // lost with the worker
  Message message = std::move(worker->sent.front());
  worker->sent.pop_front();
  if (world_.FaultChance(scenario_.stale)) RepeatLater(worker->attempt, message);
  if (auto* said = std::get_if<worker::v1::ConnectRequest>(&message)) {
    rules_.OnDelivered(*said);
    listener_->OnAttemptMessage(worker->attempt, std::move(*said));
    return;
  }
  worker->closed = true;
  open_.erase(std::find(open_.begin(), open_.end(), worker));
  world_.Trace("attempt ", worker->attempt.attempt, " of ", worker->attempt.job, " ends");
  rules_.OnEndDelivered(worker->attempt);
  listener_->OnAttemptEnded(worker->attempt, std::move(std::get<workers::AttemptEnd>(message)));
}

void SimulatedWorkers::RepeatLater(const workers::AttemptId& attempt, Message message) {
  world_.AfterInServer(world_.random.Milliseconds(1, 15000), [this, attempt, message = std::move(message)]() mutable {
    if (listener_ == nullptr) return;
    if (Find(attempt) != nullptr) return RepeatLater(attempt, std::move(message));  // not before its end
    world_.Trace("a late message of attempt ", attempt.attempt, " of ", attempt.job);
    auto* said = std::get_if<worker::v1::ConnectRequest>(&message);
    if (said == nullptr) return listener_->OnAttemptEnded(attempt, std::get<workers::AttemptEnd>(message));
    rules_.MarkLate(*said);
    listener_->OnAttemptMessage(attempt, std::move(*said));
  });
}

}  // namespace attune::simulation
