// SimulatedWorkers: the pool of one server process, and its workers. As the real pool promises: each Assign is answered by messages in the order in which the worker spoke and by
// one end; a worker's death takes with it what it had not sent yet. Beyond what the real pool lets through, and only when the scenario says so: messages of an attempt come once
// more, late, after its end; the scheduler must refuse them by their fence.
//
// A worker "trains" by advancing a number (trained.h) and keeps it in its checkpoints, so that an attempt that goes on from a wrong or half place is noticed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "server/workers/worker_pool.h"
#include "tests/server/scheduler/simulation/rules.h"
#include "tests/server/scheduler/simulation/scenario.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

class SimulatedWorkers final : public workers::WorkerPool {
 public:
  SimulatedWorkers(World& world, const Scenario& scenario, Rules& rules) : world_(world), scenario_(scenario), rules_(rules) {}

  void Start(workers::WorkerPoolListener& listener) override;
  absl::Status Assign(const worker::v1::Assign& assignment) override;
  void Cancel(const workers::AttemptId& attempt) override { Tell(attempt, /*cancel=*/true); }
  void Suspend(const workers::AttemptId& attempt) override { Tell(attempt, /*cancel=*/false); }
  void Kill(const workers::AttemptId& attempt) override;
  void Predict(worker::v1::Predict, PredictCallback done) override { done(absl::UnimplementedError("not simulated")); }
  int64_t Evaluate(worker::v1::Evaluate, EvaluateCallbacks callbacks) override { callbacks.done(absl::UnimplementedError("not simulated")); return 0; }
  void CancelEvaluation(int64_t) override {}
  int64_t Probe(worker::v1::Probe probe, ProbeCallback done) override;
  void CancelProbe(int64_t id) override;
  void Adjust(const workers::AttemptId&, const v1::LiveSettings&) override {}
  workers::PoolStatus Status() override { return {.idle = idle_, .starting = starting_, .trouble = trouble_}; }
  void Stop(absl::Duration grace) override;

 private:
  using Message = std::variant<worker::v1::ConnectRequest, workers::AttemptEnd>;
  struct Worker {
    workers::AttemptId attempt;
    std::string output;              // directory of the job
    int64_t step = 0, steps = 0, every = 1;
    int64_t saved = 0;               // step of the last checkpoint
    uint64_t trained = 0;
    bool cancel = false, suspend = false;
    bool gone = false;               // its process
    bool closed = false;             // its end has reached the listener
    absl::Duration step_time;
    std::deque<Message> sent;        // on their way
    absl::Time arrives = absl::InfinitePast();  // the last of them
  };
  using WorkerPtr = std::shared_ptr<Worker>;

  void Launch();
  WorkerPtr Find(const workers::AttemptId& attempt);
  void Tell(const workers::AttemptId& attempt, bool cancel);
  // The worker's life.
  void Load(const WorkerPtr& worker, const std::string& resume);
  void Train(const WorkerPtr& worker);
  void Obey(const WorkerPtr& worker);
  void Complete(const WorkerPtr& worker);
  void Save(const WorkerPtr& worker, bool is_best);
  void Die(const WorkerPtr& worker, workers::ExitReason reason, const char* how);
  // Its stream.
  void Send(const WorkerPtr& worker, Message message);
  void Deliver(const WorkerPtr& worker);
  void RepeatLater(const workers::AttemptId& attempt, Message message);
  static worker::v1::ConnectRequest About(const Worker& worker);

  World& world_;
  const Scenario& scenario_;
  Rules& rules_;
  workers::WorkerPoolListener* listener_ = nullptr;
  int idle_ = 0, starting_ = 0;
  std::string trouble_;
  std::map<int64_t, ProbeCallback> probes_;
  int64_t last_probe_ = 0;
  std::vector<WorkerPtr> open_;  // whose end has not reached the listener
};

}  // namespace attune::simulation
