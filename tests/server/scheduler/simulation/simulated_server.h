// SimulatedServer: the scheduler and its event log on virtual executors, on a store that outlives it. It is started, shut down or killed; a kill takes whatever is not in the
// store, and the workers.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "server/jobs/group_commit_event_log.h"
#include "server/scheduler/scheduler.h"
#include "tests/fakes/memory_job_store.h"
#include "tests/server/scheduler/fake_stores.h"
#include "tests/server/scheduler/simulation/rules.h"
#include "tests/server/scheduler/simulation/scenario.h"
#include "tests/server/scheduler/simulation/simulated_workers.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

// The machine's files, without waiting for the disk, failing at times.
class SimulatedFiles final : public Files {
 public:
  SimulatedFiles(World& world, const Scenario& scenario) : world_(world), scenario_(scenario) {}
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string&) override { return Unused(); }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string&) override { return Unused(); }
  absl::Status Truncate(const std::string&, int64_t) override { return Unused(); }
  absl::Status Link(const std::string&, const std::string&) override { return Unused(); }
  absl::StatusOr<int64_t> FreeBytes(const std::string&) override { return Unused(); }
  absl::Status SyncDirectory(const std::string&) override { return absl::OkStatus(); }
  absl::Status Remove(const std::string& path) override { return Fails() ? Fault() : Files::Posix().Remove(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override { return Fails() ? Fault() : Files::Posix().Rename(from, to); }
  absl::Status RemoveRecursively(const std::string& path) override { return Fails() ? Fault() : Files::Posix().RemoveRecursively(path); }
  absl::Status CreateDirectories(const std::string& path) override {
    if (Fails()) return Fault();
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? absl::InternalError(error.message()) : absl::OkStatus();
  }

 private:
  bool Fails() { return world_.FaultChance(scenario_.file_fails); }
  static absl::Status Fault() { return absl::ResourceExhaustedError("the disk is full"); }
  static absl::Status Unused() { return absl::UnimplementedError("the scheduler does not use it"); }

  World& world_;
  const Scenario& scenario_;
};

class SimulatedServer {
 public:
  SimulatedServer(World& world, const Scenario& scenario, Rules& rules, jobs::MemoryJobStore& store, std::string directory);
  ~SimulatedServer();

  void Start();
  void Kill();
  void ShutDown();
  // Null while it is down.
  scheduler::Scheduler* scheduler() { return scheduler_.get(); }
  bool ending() const { return ending_; }
  jobs::JobEventLog& events() { return *observed_; }
  std::string CheckpointsOf(const std::string& job_id) const { return directory_ + "/jobs/" + job_id + "/checkpoints"; }
  // A commit fails from now until ClearFault.
  void FailStore(bool fail);

  std::function<void()> on_start, before_end;

 private:
  void End();
  void CommitSoon(absl::Duration delay);

  World& world_;
  const Scenario& scenario_;
  Rules& rules_;
  jobs::MemoryJobStore& store_;
  const std::string directory_;
  SimulatedFiles files_;
  scheduler::FakeCatalogue models_;
  scheduler::FakeDatasets datasets_;
  int ids_ = 0;
  bool store_fails_ = false, ending_ = false, commit_due_ = false;
  // Of the present process.
  std::unique_ptr<jobs::GroupCommitEventLog> log_;
  std::unique_ptr<ObservedLog> observed_;
  std::unique_ptr<SimulatedWorkers> pool_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

}  // namespace attune::simulation
