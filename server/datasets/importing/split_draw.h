// Draws validation and test rows: stratified, seeded, the same on every machine. Pure; thread-safe.
//
// The draw. With N rows in all and n in a stratum (a class), round(N * share) rows are due to a split; each stratum
// gives floor(n * share) of them, and those that are still due come one each from the strata with the largest
// remainders (ties: the lower stratum). At least one row of each stratum stays in training. Within a stratum the rows
// are ordered by (text occurs more than once, key, row), and the first ones go to test, the next to validation: a text
// that occurs more than once thus stays in training, whole, as long as there are others to draw. The key of a row is
//   Mix(Mix(seed + G) + (row + 1) * G),  G = 0x9e3779b97f4a7c15,  all modulo 2^64,
//   Mix(z): z = (z ^ z>>30) * 0xbf58476d1ce4e5b9;  z = (z ^ z>>27) * 0x94d049bb133111eb;  z ^ z>>31      (SplitMix64)
// `row` counts all rows of the import from 0, in the order of the files and bad ones too, so that mending one row moves
// no other.
#pragma once

#include <cstdint>
#include <vector>

#include "server/examples/example.h"

namespace attune::datasets {

struct SplitShares {
  double validation = 0;  // 0 to 0.9
  double test = 0;        // 0 to 0.9
  uint64_t seed = 0;
};

struct DrawCandidate {
  uint32_t row = 0;
  uint32_t stratum = 0;
  bool repeated = false;  // its text occurs more than once
};

uint64_t DrawKey(uint64_t seed, uint64_t row);

// The split of each candidate, in their order.
std::vector<examples::Split> DrawSplits(const std::vector<DrawCandidate>& candidates, const SplitShares& shares);

}  // namespace attune::datasets
