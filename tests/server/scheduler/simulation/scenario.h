// Scenario: what one seed's run has in it. Each kind of fault is left out of many runs, so that every mixture of them comes up, and faults that hide others do not always.
#pragma once

#include "absl/time/time.h"
#include "attune/v1/training_spec.pb.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

struct Scenario {
  int jobs = 3;
  int job_slots = 1;
  int warm_workers = 1;
  absl::Duration aging_interval = absl::InfiniteDuration();
  absl::Duration faults_end = absl::Seconds(60);  // from then on nothing goes wrong, and every job must come to its end
  double verbs = 1;                               // that clients send about a job, on average
  double call_lost = 0, call_doubled = 0;         // of requests and answers
  double stale = 0;                               // a worker's message comes once more after its attempt
  double worker_dies = 0, worker_hangs = 0, worker_fails = 0, worker_disobeys = 0;  // in a step
  int64_t job_memory = 0;                         // bytes that jobs may have together; 0: whatever they ask
  double memory_unsaid = 0;                       // of jobs whose specs do not say what they take
  double plan_fails = 0;
  double launch_fails = 0, assign_refused = 0;
  double checkpoint_damaged = 0;                  // while its job waits
  double file_fails = 0;                          // an operation of the server's on files
  bool store_fails = false;                       // for seconds at a time
  absl::Duration server_lives = absl::InfiniteDuration();  // on average, until it is killed or shut down
};

// What a job of the simulation takes of its device, whether its spec says so or a plan must find out.
inline int64_t MemoryOf(const v1::FineTuningSpec& spec) { return 2 * int64_t{spec.hyperparameters().batch_size()}; }

inline Scenario DrawScenario(Random& random) {
  Scenario scenario;
  const auto sometimes = [&](double share, double low, double high) {
    const double value = low + (high - low) * static_cast<double>(random.Between(0, 1000)) / 1000;
    return random.Chance(share) ? value : 0;
  };
  scenario.jobs = static_cast<int>(random.Between(2, 6));
  scenario.job_slots = static_cast<int>(random.Between(1, 3));
  scenario.warm_workers = static_cast<int>(random.Between(1, 2));
  if (random.Chance(0.4)) scenario.aging_interval = absl::Seconds(random.Between(2, 60));
  scenario.faults_end = absl::Seconds(random.Between(5, 90));
  scenario.verbs = static_cast<double>(random.Between(0, 4));
  scenario.call_lost = sometimes(0.5, 0.05, 0.4);
  scenario.call_doubled = sometimes(0.5, 0.05, 0.5);
  scenario.stale = sometimes(0.6, 0.05, 0.5);
  scenario.worker_dies = sometimes(0.5, 0.01, 0.15);
  scenario.worker_hangs = sometimes(0.2, 0.01, 0.05);
  scenario.worker_fails = sometimes(0.3, 0.01, 0.05);
  scenario.worker_disobeys = sometimes(0.3, 0.1, 0.5);
  scenario.launch_fails = sometimes(0.3, 0.1, 0.6);
  scenario.assign_refused = sometimes(0.3, 0.1, 0.6);
  scenario.checkpoint_damaged = sometimes(0.2, 0.1, 0.5);
  scenario.file_fails = sometimes(0.2, 0.05, 0.3);
  scenario.store_fails = random.Chance(0.2);
  if (random.Chance(0.5)) scenario.job_memory = random.Between(40, 150);
  scenario.memory_unsaid = sometimes(0.7, 0.2, 1);
  scenario.plan_fails = sometimes(0.3, 0.1, 0.5);
  if (random.Chance(0.6)) scenario.server_lives = absl::Seconds(random.Between(1, 30));
  return scenario;
}

}  // namespace attune::simulation
