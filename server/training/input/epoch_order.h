// The order in which an epoch visits its rows: a seeded permutation, the same on every platform and with every library version. Pure.
//
//   std::vector<int64_t> order = EpochOrder(/*seed=*/42, /*epoch=*/0, /*rows=*/26000);
//
// Fisher-Yates driven by SplitMix64 in counter mode (Steele, Lea and Flood 2014), bounded without bias by Lemire's method (2019).
#pragma once

#include <cstdint>
#include <vector>

namespace attune::training {

// A counter-based generator: value i of stream (seed, stream) is a pure function of the three.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream);
  uint64_t Next();
  // Uniform in [0, bound), without bias. `bound` must be over 0.
  uint64_t Below(uint64_t bound);

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

// All of 0 .. rows-1, once each. Epochs count from 0.
std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t rows);

// A seed for the random numbers of one micro-step (dropout masks), so that a resumed run draws what an undisturbed one would.
uint64_t StepSeed(uint64_t seed, int64_t micro_step);

}  // namespace attune::training
