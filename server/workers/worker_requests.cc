// Predictions, evaluations and probes of SupervisedWorkerPool: each kind has a lane, which is a queue and the worker that serves it.
#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "server/base/str_cat.h"
#include "server/workers/supervised_worker_pool.h"

namespace attune::workers {
namespace {

// What a PredictDone, EvaluateDone or ProbeDone says of how it went.
template <typename Done>
absl::Status StatusOf(const Done& done) {
  if (done.code() == 0 && done.error().empty()) return absl::OkStatus();
  return absl::Status(done.code() != 0 ? static_cast<absl::StatusCode>(done.code()) : absl::StatusCode::kInternal, done.error());
}

// What files a predict or evaluate command is about; each probe has a fresh worker anyway.
std::string InputsOf(const worker::v1::ConnectResponse& command) {
  if (command.has_evaluate()) return StrCat(command.evaluate().checkpoint_dir(), "\n", command.evaluate().dataset_dir());
  return command.predict().checkpoint_dir();
}

int64_t NumberOf(const worker::v1::ConnectRequest& answer) {
  if (answer.has_predict_done()) return answer.predict_done().request();
  return answer.has_probe_done() ? answer.probe_done().request() : answer.evaluate_done().request();
}

}  // namespace

void SupervisedWorkerPool::Predict(worker::v1::Predict prediction, PredictCallback done) {
  worker::v1::ConnectResponse command;
  *command.mutable_predict() = std::move(prediction);
  RequestQueue::Callbacks callbacks;
  callbacks.done = [done = std::move(done)](absl::StatusOr<worker::v1::ConnectRequest> answer) {
    if (!answer.ok()) return done(answer.status());
    worker::v1::PredictDone& said = *answer->mutable_predict_done();
    if (absl::Status status = StatusOf(said); !status.ok()) return done(status);
    done(std::vector<v1::Prediction>(std::make_move_iterator(said.mutable_predictions()->begin()), std::make_move_iterator(said.mutable_predictions()->end())));
  };
  WithActions([&](Actions& actions) {
    Lane& lane = PredictionLaneFor(InputsOf(command));
    AddRequest(lane, std::move(command), std::move(callbacks), options_.predict_timeout, actions);
  });
}

int64_t SupervisedWorkerPool::Evaluate(worker::v1::Evaluate evaluation, EvaluateCallbacks callbacks) {
  worker::v1::ConnectResponse command;
  *command.mutable_evaluate() = std::move(evaluation);
  RequestQueue::Callbacks queued;
  queued.progress = [progress = std::move(callbacks.progress)](const worker::v1::ConnectRequest& said) { progress(said.evaluate_progress().progress()); };
  queued.done = [done = std::move(callbacks.done)](absl::StatusOr<worker::v1::ConnectRequest> answer) {
    if (!answer.ok()) return done(answer.status());
    if (absl::Status status = StatusOf(answer->evaluate_done()); !status.ok()) return done(status);
    done(std::move(*answer->mutable_evaluate_done()->mutable_result()));
  };
  int64_t id = 0;
  WithActions([&](Actions& actions) { id = AddRequest(evaluations_, std::move(command), std::move(queued), options_.evaluate_wait_timeout, actions); });
  return id;
}

int64_t SupervisedWorkerPool::Probe(worker::v1::Probe probe, ProbeCallback done) {
  worker::v1::ConnectResponse command;
  *command.mutable_probe() = std::move(probe);
  RequestQueue::Callbacks callbacks;
  callbacks.done = [done = std::move(done)](absl::StatusOr<worker::v1::ConnectRequest> answer) {
    if (!answer.ok()) return done(answer.status());
    if (absl::Status status = StatusOf(answer->probe_done()); !status.ok()) return done(status);
    done(std::move(*answer->mutable_probe_done()->mutable_plan()));
  };
  int64_t id = 0;
  WithActions([&](Actions& actions) { id = AddRequest(probes_, std::move(command), std::move(callbacks), options_.probe_wait_timeout, actions); });
  return id;
}

// Where the checkpoint is loaded or about to be; else where nothing is to be done, the longest unused worker first; else where least waits.
SupervisedWorkerPool::Lane& SupervisedWorkerPool::PredictionLaneFor(const std::string& inputs) {
  const auto rank = [&](const Lane& lane) {
    const bool free = lane.queue.size() == 0, waits = lane.queue.HasWaiting();
    // Of its worker: now, or, where it waits for one, as soon as it has it; and when all that waits is done.
    const bool now = waits && !lane.queue.IsBusy() ? InputsOf(lane.queue.Next()) == inputs : !lane.worker.empty() && lane.inputs == inputs;
    const bool last = waits ? InputsOf(lane.queue.Last()) == inputs : now;
    const int kind = now && last ? 0 : free ? 1 : last ? 2 : 3;
    return std::tuple(kind, lane.queue.size(), kind == 1 && !lane.worker.empty() ? lane.last_used : absl::InfinitePast());
  };
  return *std::min_element(predictions_.begin(), predictions_.end(), [&](const Lane& a, const Lane& b) { return rank(a) < rank(b); });
}

SupervisedWorkerPool::Lane* SupervisedWorkerPool::PredictionLaneOf(const std::string& worker_id) {
  const auto found = std::find_if(predictions_.begin(), predictions_.end(), [&](const Lane& lane) { return lane.worker == worker_id; });
  return found == predictions_.end() ? nullptr : &*found;
}

// A lane that has nothing to do takes what has waited longest behind another checkpoint's work: there, too, it would need another worker.
void SupervisedWorkerPool::Relieve(Lane& lane) {
  Lane* busiest = nullptr;
  const RequestQueue::Entry* oldest = nullptr;
  for (Lane& other : predictions_) {
    if (!other.queue.IsBusy()) continue;
    const RequestQueue::Entry* entry = other.queue.FindWaiting([&](const worker::v1::ConnectResponse& command) { return InputsOf(command) != other.inputs; });
    if (entry == nullptr || (oldest != nullptr && oldest->deadline <= entry->deadline)) continue;
    oldest = entry;
    busiest = &other;
  }
  if (oldest != nullptr) lane.queue.TakeOver(*busiest->queue.TakeWaiting(oldest->id));
}

void SupervisedWorkerPool::CancelEvaluation(int64_t id) {
  WithActions([&](Actions& actions) { CancelRequest(evaluations_, id, actions); });
}

void SupervisedWorkerPool::CancelProbe(int64_t id) {
  WithActions([&](Actions& actions) { CancelRequest(probes_, id, actions); });
}

void SupervisedWorkerPool::CancelRequest(Lane& lane, int64_t id, Actions& actions) {
  if (std::optional<RequestQueue::Entry> entry = lane.queue.TakeWaiting(id)) {
    actions.push_back([done = std::move(entry->callbacks.done)] { done(absl::CancelledError("cancelled before a worker had it")); });
    return;
  }
  RequestQueue::Entry* running = lane.queue.InFlight();
  if (running == nullptr || running->id != id || running->cancelled) return;
  running->cancelled = true;
  running->deadline = clock_.Now() + options_.stop_timeout;
  dirty_ = true;
  Worker& worker = *workers_.at(lane.worker);
  if (worker.session == nullptr) return;
  worker::v1::ConnectResponse command;
  command.mutable_cancel()->set_request(id);
  worker.session->Send(std::move(command));
}

int64_t SupervisedWorkerPool::AddRequest(Lane& lane, worker::v1::ConnectResponse command, RequestQueue::Callbacks callbacks, absl::Duration wait, Actions& actions) {
  absl::StatusOr<int64_t> id = absl::UnavailableError("the server is shutting down");
  if (!stopping_) id = lane.queue.Add(std::move(command), callbacks, clock_.Now() + wait);
  if (!id.ok()) {
    actions.push_back([done = std::move(callbacks.done), status = id.status()] { done(status); });
    return 0;
  }
  Pump(lane);
  dirty_ = true;
  return *id;
}

void SupervisedWorkerPool::Pump(Lane& lane) {
  if (stopping_ || !lane.queue.HasWaiting() || lane.queue.InFlight() != nullptr) return;
  const std::string inputs = options_.separate_inputs ? InputsOf(lane.queue.Next()) : "";
  if (!lane.worker.empty() && lane.inputs != inputs) {
    Worker& other = *workers_.at(lane.worker);
    if (other.session == nullptr || other.kill_sent || other.process_gone) return;  // on its way out, as below
    LetGo(other);
    lane.worker.clear();
  }
  if (lane.worker.empty()) {
    Worker* idle = FindIdle();
    if (idle == nullptr) return;  // the supervisor launches one
    idle->state = WorkerState::kServing;
    idle->useful = true;
    backoff_.Succeeded();
    dirty_ = true;
    lane.worker = idle->id;
    lane.inputs = inputs;
  }
  Worker& worker = *workers_.at(lane.worker);
  if (worker.session == nullptr || worker.kill_sent) return;  // on its way out; its removal comes here again
  worker.session->Send(*lane.queue.SendNext());
  if (lane.silence_timeout != absl::InfiniteDuration()) lane.queue.InFlight()->deadline = clock_.Now() + lane.silence_timeout;
}

void SupervisedWorkerPool::HandleProgress(const worker::v1::ConnectRequest& message, Actions& actions) {
  RequestQueue::Entry* running = evaluations_.queue.InFlight();
  if (running == nullptr || running->id != message.evaluate_progress().request() || running->cancelled) return;
  running->deadline = clock_.Now() + evaluations_.silence_timeout;
  actions.push_back([progress = running->callbacks.progress, message] { progress(message); });
}

void SupervisedWorkerPool::HandleAnswer(Lane& lane, worker::v1::ConnectRequest message, Actions& actions) {
  std::optional<RequestQueue::Entry> entry = lane.queue.TakeInFlight(NumberOf(message));
  if (!entry.has_value()) return;  // its caller was told that it took too long
  lane.last_used = clock_.Now();
  if (lane.fresh_worker_each) {
    LetGo(*workers_.at(lane.worker));
    lane.worker.clear();
  }
  if (&lane != &evaluations_ && &lane != &probes_ && lane.queue.size() == 0) Relieve(lane);
  Pump(lane);
  dirty_ = true;  // the worker may be idle from now on
  actions.push_back([done = std::move(entry->callbacks.done), message = std::move(message)]() mutable { done(std::move(message)); });
}

absl::Time SupervisedWorkerPool::CheckLane(Lane& lane, absl::Time now, Actions& actions) {
  for (RequestQueue::Entry& entry : lane.queue.TakeExpired(now)) {
    absl::Status status = absl::DeadlineExceededError(trouble_.empty() ? StrCat("other ", lane.noun, "s took too long; try again later")
                                                                       : StrCat("no worker can be started: ", trouble_));
    actions.push_back([done = std::move(entry.callbacks.done), status] { done(status); });
  }
  absl::Time next = lane.queue.WaitingDeadline();
  if (lane.worker.empty()) return next;
  Worker& worker = *workers_.at(lane.worker);
  if (lane.queue.InFlightDeadline() <= now) {
    std::optional<RequestQueue::Entry> entry = lane.queue.TakeInFlight();
    absl::Status status = absl::DeadlineExceededError(StrCat("the ", lane.noun, " took too long; ", lane.advice));
    actions.push_back([done = std::move(entry->callbacks.done), status] { done(status); });
    worker.facts.stop_expired = true;
    KillProcess(worker, actions);
  } else if (lane.queue.InFlight() == nullptr && !lane.queue.HasWaiting() && !worker.kill_sent && !worker.process_gone) {
    if (lane.last_used + lane.idle_timeout <= now) {
      LetGo(worker);
      lane.worker.clear();
    } else {
      next = std::min(next, lane.last_used + lane.idle_timeout);
    }
  }
  return std::min(next, lane.queue.InFlightDeadline());
}

void SupervisedWorkerPool::LeaveLane(Lane& lane, const std::string& worker_id, const std::string& description, Actions& actions) {
  if (lane.worker != worker_id) return;
  lane.worker.clear();
  std::optional<RequestQueue::Entry> entry = lane.queue.TakeInFlight();
  if (!entry.has_value()) return;
  absl::Status status = absl::UnavailableError(StrCat("the ", lane.noun, " was lost: ", description, "; try again"));
  actions.push_back([done = std::move(entry->callbacks.done), status] { done(status); });
}

}  // namespace attune::workers
