// SimulatedClients: who create jobs, steer them and watch them, over a network that loses, delays, doubles and so reorders requests and answers. They send a request again, with its
// request_id, until they get an answer; and they tell the rules what they were told.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/scheduler/simulation/rules.h"
#include "tests/server/scheduler/simulation/scenario.h"
#include "tests/server/scheduler/simulation/simulated_server.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

class SimulatedClients {
 public:
  SimulatedClients(World& world, const Scenario& scenario, Rules& rules, SimulatedServer& server);

  void Begin();
  // Once nothing goes wrong any more: paused jobs are resumed, so that all can end.
  void WrapUp();
  // Every job that was asked for has ended, and everybody knows.
  bool Finished();
  // Subscriptions go with the server's process.
  void DropWatches();
  void RenewWatches();
  std::vector<v1::FineTuningJob> Jobs();  // those that there are; empty while the server is down

 private:
  using Answer = absl::StatusOr<v1::FineTuningJob>;
  using Reply = std::function<void(Answer)>;
  // One request and its way back.
  using Call = std::function<void(scheduler::Scheduler&, Reply)>;

  struct Wish {
    v1::CreateFineTuningJobRequest request;
    std::string name;     // once it was answered
    int under_way = 0;    // copies of the creation that may still arrive
    bool settled = false;  // created, or given up
  };
  struct Watch {
    std::string id;
    std::unique_ptr<jobs::EventSubscription> subscription;
    bool over = false;
  };

  // `done` gets the first answer, or DEADLINE_EXCEEDED. `under_way` counts the copies that have not arrived.
  void Send(Call call, Reply done, int* under_way = nullptr);
  void Create(Wish& wish);
  void CreateOtherwise(const Wish& wish);
  void Steer(Wish& wish);
  void SendVerb(const std::string& name, Verb verb, int priority, int tries);
  void DeleteOldCheckpoint(const std::string& name);
  void Subscribe(const std::shared_ptr<Watch>& watch);
  void Take(const std::shared_ptr<Watch>& watch);

  World& world_;
  const Scenario& scenario_;
  Rules& rules_;
  SimulatedServer& server_;
  std::vector<std::unique_ptr<Wish>> wishes_;
  std::vector<std::shared_ptr<Watch>> watches_;
};

}  // namespace attune::simulation
