// Where a forward pass drops values, and how often. A plain value.
#pragma once

#include <cstdint>

namespace attune::training::cpu {

// One place where a forward pass drops values. `seed` is drawn anew for each forward pass; `site` tells the places of a pass apart.
struct DropoutSite {
  double probability = 0;  // 0: nothing is dropped
  uint64_t seed = 0;
  uint32_t site = 0;
  bool active() const { return probability > 0; }
};

}  // namespace attune::training::cpu
