#include "tests/server/scheduler/simulation/simulation.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "tests/server/scheduler/simulation/simulated_clients.h"
#include "tests/server/scheduler/simulation/simulated_server.h"
#include "tests/server/scheduler/simulation/trained.h"

namespace attune::simulation {
namespace {

// After the faults: longer than it takes to train every job one after the other and to wait for every worker that does not stop.
constexpr absl::Duration kEverythingEnds = absl::Minutes(30);

class Run {
 public:
  Run(uint64_t seed, const std::string& directory, bool tracing)
      : directory_(directory), world_(seed, tracing), scenario_(DrawScenario(world_.random)), rules_(world_, scenario_, store_),
        server_(world_, scenario_, rules_, store_, directory), clients_(world_, scenario_, rules_, server_) {
    server_.before_end = [this] { clients_.DropWatches(); };
    server_.on_start = [this] { clients_.RenewWatches(); };
  }

  Outcome Live() {
    begin_ = world_.Now();
    server_.Start();
    clients_.Begin();
    if (scenario_.server_lives != absl::InfiniteDuration()) EndServerLater();
    if (scenario_.store_fails) FailStoreLater();
    if (scenario_.checkpoint_damaged > 0) DamageLater();
    world_.After(scenario_.faults_end, [this] {
      world_.Trace("nothing goes wrong any more");
      world_.faults = false;
      server_.FailStore(false);
      WrapUpLater();
    });
    while (!finished_ && world_.Step()) {
    }
    if (world_.failure().empty()) {
      server_.ShutDown();
      rules_.CheckStored([this](const std::string& id) { return server_.CheckpointsOf(id); });
    }
    const std::vector<jobs::Job> stored = store_.LoadJobs().value();
    for (const jobs::Job& job : stored) {
      ++outcome_.jobs;
      outcome_.succeeded += job.resource.state() == v1::FineTuningJob::STATE_SUCCEEDED;
    }
    outcome_.failure = world_.failure();
    outcome_.trace = world_.trace();
    outcome_.last_number = world_.random.Next();
    outcome_.lasted = world_.Now() - begin_;
    server_.Kill();  // where a rule was broken: before the clients, who watch it
    std::error_code ignored;
    std::filesystem::remove_all(directory_ + "/jobs", ignored);
    return outcome_;
  }

 private:
  void EndServerLater() {
    const int64_t mean = absl::ToInt64Milliseconds(scenario_.server_lives);
    world_.After(world_.random.Milliseconds(0, 2 * mean), [this] {
      if (!world_.faults) return;
      const bool up = server_.scheduler() != nullptr;
      if (world_.random.Chance(0.3)) {
        outcome_.shutdowns += up;
        server_.ShutDown();
      } else {
        outcome_.kills += up;
        server_.Kill();
      }
      if (up) StartLater();
      EndServerLater();
    });
  }
  void StartLater() {
    world_.After(world_.random.Milliseconds(50, 4000), [this] {
      if (server_.scheduler() == nullptr && !server_.ending()) server_.Start();
    });
  }
  void FailStoreLater() {
    world_.After(world_.random.Milliseconds(500, 20000), [this] {
      if (!world_.faults) return;
      world_.Trace("the store fails");
      server_.FailStore(true);
      world_.After(world_.random.Milliseconds(10, 5000), [this] {
        world_.Trace("the store works");
        server_.FailStore(false);
      });
      FailStoreLater();
    });
  }
  // The newest checkpoint of a job that waits.
  void DamageLater() {
    world_.After(world_.random.Milliseconds(500, 4000), [this] {
      if (!world_.faults) return;
      for (const v1::FineTuningJob& job : clients_.Jobs()) {
        const bool waits = job.state() == v1::FineTuningJob::STATE_QUEUED || job.state() == v1::FineTuningJob::STATE_PAUSED;
        const std::string id = job.name().substr(job.name().rfind('/') + 1);
        const int64_t step = rules_.NewestCheckpoint(id);
        if (!waits || step == 0 || !world_.random.Chance(scenario_.checkpoint_damaged)) continue;
        world_.Trace("checkpoint ", step, " of ", id, " is damaged");
        rules_.OnDamage(id, step);
        if (const absl::Status status = DamageTrained(server_.CheckpointsOf(id) + "/step-" + std::to_string(step)); !status.ok() && !rules_.CheckpointsMayGo(id)) {
          world_.Fail("the newest checkpoint of a waiting job cannot be written to: ", status.ToString());
        }
      }
      DamageLater();
    });
  }
  void WrapUpLater() {
    if (clients_.Finished()) {
      finished_ = true;
      return;
    }
    if (world_.Now() - begin_ > scenario_.faults_end + kEverythingEnds) {
      std::string states;
      for (const v1::FineTuningJob& job : clients_.Jobs()) StrAppend(&states, " ", job.name(), " ", jobs::StateName(job.state()), " (", job.state_reason(), ")");
      return world_.Fail("nothing has gone wrong for ", absl::FormatDuration(kEverythingEnds), ", and not everything has ended:", states);
    }
    clients_.WrapUp();
    world_.After(absl::Seconds(2), [this] { WrapUpLater(); });
  }

  const std::string directory_;
  World world_;
  const Scenario scenario_;
  jobs::MemoryJobStore store_;
  Rules rules_;
  SimulatedServer server_;
  SimulatedClients clients_;
  absl::Time begin_;
  bool finished_ = false;
  Outcome outcome_;
};

}  // namespace

Outcome Simulate(uint64_t seed, const std::string& directory, bool tracing) { return Run(seed, directory, tracing).Live(); }

}  // namespace attune::simulation
