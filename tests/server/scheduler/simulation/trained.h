// What simulated training gives: a number that each step advances, kept in checkpoints as the server knows them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::simulation {

struct Trained {
  int64_t step = 0;
  uint64_t value = 0;
};

uint64_t TrainedAtStart(const std::string& job);  // fineTuningJobs/{id}
uint64_t TrainedNext(uint64_t value);
int64_t StepsOf(const std::string& job);  // until it is done
uint64_t TrainedAfter(const std::string& job, int64_t steps);

// A whole checkpoint directory, put in place at once. An error where there is one already.
absl::Status WriteTrained(const std::string& directory, const Trained& trained);
absl::StatusOr<Trained> ReadTrained(const std::string& directory);
absl::Status DamageTrained(const std::string& directory);

}  // namespace attune::simulation
