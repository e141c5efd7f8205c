// Simulation: one run of a scheduler, its workers and its clients, all of it decided by a seed.
//
//   const Outcome outcome = Simulate(seed, scratch.path(), /*tracing=*/false);
//   EXPECT_EQ(outcome.failure, "");
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace attune::simulation {

struct Outcome {
  std::string failure;             // the rule that was broken; empty: none
  std::vector<std::string> trace;  // where it was asked for
  uint64_t last_number = 0;        // that the run drew: equal runs have drawn the same
  absl::Duration lasted;           // of virtual time
  int jobs = 0, kills = 0, shutdowns = 0, succeeded = 0;
};

// `directory`: scratch space, which must be there; empty again afterwards.
Outcome Simulate(uint64_t seed, const std::string& directory, bool tracing);

}  // namespace attune::simulation
