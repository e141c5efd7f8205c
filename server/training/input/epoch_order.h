// The order in which an epoch visits its rows: a seeded permutation (Fisher-Yates on CounterRandom), the same on every platform. Pure.
//
//   std::vector<int64_t> order = EpochOrder(/*seed=*/42, /*epoch=*/0, /*rows=*/26000);
#pragma once

#include <cstdint>
#include <vector>

namespace attune::training {

// All of 0 .. rows-1, once each. Epochs count from 0.
std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t rows);

// A seed for the random numbers of one micro-step (dropout masks), so that a resumed run draws what an undisturbed one would.
uint64_t StepSeed(uint64_t seed, int64_t micro_step);

}  // namespace attune::training
