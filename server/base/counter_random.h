// CounterRandom: a counter-based generator. Value i of stream (seed, stream) is a pure function of the three, the same on every platform and with every library
// version: what is drawn does not depend on threads, on order, or on whether a run was resumed. Not thread-safe; cheap to make one for each use.
//
//   CounterRandom random(/*seed=*/42, /*stream=*/epoch);
//   uint64_t die = random.Below(6);
//
// SplitMix64 in counter mode (Steele, Lea and Flood 2014), bounded without bias by Lemire's method (2019).
#pragma once

#include <cstdint>

namespace attune {

// A key for `stream` of `seed`: streams are spread over the whole state space rather than next to each other. Usable as a seed of its own.
uint64_t StreamKey(uint64_t seed, uint64_t stream);

class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream);
  uint64_t Next();
  // Uniform in [0, bound), without bias. `bound` must be over 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1), with 53 bits.
  double Uniform();
  // Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace attune
