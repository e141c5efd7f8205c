#include "tests/server/scheduler/simulation/simulated_server.h"

#include <utility>

#include "tests/fakes/worker_description.h"
#include "tests/server/scheduler/simulation/virtual_executor.h"

namespace attune::simulation {

SimulatedServer::SimulatedServer(World& world, const Scenario& scenario, Rules& rules, jobs::MemoryJobStore& store, std::string directory)
    : world_(world), scenario_(scenario), rules_(rules), store_(store), directory_(std::move(directory)), files_(world, scenario) {
  rules_.get_job = [this](const std::string& name) -> absl::StatusOr<v1::FineTuningJob> {
    if (scheduler_ == nullptr) return absl::UnavailableError("the server is down");
    return scheduler_->GetJob(name);
  };
  world_.after_step = [this] {
    if (log_ != nullptr && !commit_due_ && log_->HasWaiting()) CommitSoon(world_.Latency());
  };
}

SimulatedServer::~SimulatedServer() {
  world_.after_step = nullptr;
  if (scheduler_ != nullptr) Kill();
}

void SimulatedServer::CommitSoon(absl::Duration delay) {
  commit_due_ = true;
  world_.AfterInServer(delay, [this] {
    commit_due_ = false;
    if (const absl::Duration wait = log_->CommitNext(); wait > absl::ZeroDuration()) CommitSoon(wait);
  });
}

void SimulatedServer::Start() {
  world_.Trace("the server starts");
  commit_due_ = false;
  rules_.OnServerStart();
  log_ = std::make_unique<jobs::GroupCommitEventLog>(store_, world_, jobs::EventLogOptions{.own_thread = false});
  observed_ = std::make_unique<ObservedLog>(*log_, rules_);
  pool_ = std::make_unique<SimulatedWorkers>(world_, scenario_, rules_);
  scheduler::SchedulerOptions options{.data_directory = directory_, .job_slots = scenario_.job_slots, .job_memory_bytes = scenario_.job_memory, .aging_interval = scenario_.aging_interval};
  scheduler::SchedulerDependencies dependencies{store_, *observed_, *pool_, models_, datasets_, files_, world_};
  dependencies.make_executor = [this](scheduler::Executor::Task when_idle) { return std::make_shared<VirtualExecutor>(world_, std::move(when_idle)); };
  // Names in another order than that of creation.
  dependencies.new_id = [this](char prefix) { return StrCat(std::string({prefix, static_cast<char>('a' + world_.random.Between(0, 25))}), ++ids_); };
  auto scheduler = scheduler::Scheduler::Create(options, dependencies, OneCpuDescription());
  if (!scheduler.ok()) {
    world_.Trace("the server cannot start: ", scheduler.status().ToString());
    if (!store_fails_) world_.Fail("the server cannot start: ", scheduler.status().ToString());
    world_.EndServer();
    End();
    return world_.After(absl::Seconds(1), [this] { Start(); });
  }
  scheduler_ = *std::move(scheduler);
  if (on_start) on_start();
}

void SimulatedServer::Kill() {
  if (scheduler_ == nullptr) return;
  world_.Trace("the server is killed");
  world_.EndServer();
  if (!ending_) return End();
  store_.FailCommits(absl::InternalError("the process is dead"));  // ShutDown, in which this happens, does the rest
}

void SimulatedServer::ShutDown() {
  if (scheduler_ == nullptr || ending_) return;
  world_.Trace("the server is shut down");
  ending_ = true;
  const int process = world_.server();
  scheduler_->Drain();
  if (world_.server() == process) {
    if (before_end) before_end();
    std::exchange(scheduler_, nullptr).reset();
    (void)log_->Flush();
    world_.EndServer();
  }
  ending_ = false;
  End();
  FailStore(store_fails_);
}

void SimulatedServer::End() {
  if (before_end) before_end();
  scheduler_ = nullptr;
  pool_ = nullptr;
  observed_ = nullptr;
  log_ = nullptr;
}

void SimulatedServer::FailStore(bool fail) {
  store_fails_ = fail;
  if (ending_) return;
  if (fail) {
    store_.FailCommits(absl::ResourceExhaustedError("the disk is full"));
  } else {
    store_.ClearFault();
  }
}

}  // namespace attune::simulation
