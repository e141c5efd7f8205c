// Dropout masks that are never stored: each is a pure function of (seed, site, row, column), so that backward draws what forward drew. Internal to this folder.
#pragma once

#include <cmath>
#include <cstdint>

#include "server/training/models/layers/cpu/dropout_site.h"
#include "server/training/models/layers/cpu/lanes.h"

namespace attune::training::cpu {

// Probabilities are rounded to 1/65536, and kept values scaled by exactly what is kept.
struct DropoutMask {
  explicit DropoutMask(const DropoutSite& place)
      : threshold(static_cast<uint32_t>(std::lround(place.probability * 65536))),
        scale(65536.0f / static_cast<float>(65536 - threshold)),
        seed(place.seed ^ (static_cast<uint64_t>(place.site) * 0x9E3779B97F4A7C15ull)) {}

  // Multipliers of a row: 0 or `scale`. `row` may be any number; `out` has `count` values.
  ATTUNE_INLINE void Fill(uint64_t row, int64_t count, float* out) const {
    const uint32_t key = RowKey(row);
    const int64_t half = (count + 1) / 2;
    const int64_t rest = count - half;
    // Each 32-bit draw serves two columns.
#pragma omp simd
    for (int64_t i = 0; i < rest; ++i) {
      const uint32_t bits = Mix(key + static_cast<uint32_t>(i) * 0x9E3779B9u);
      out[i] = (bits & 0xFFFFu) >= threshold ? scale : 0.0f;
      out[half + i] = (bits >> 16) >= threshold ? scale : 0.0f;
    }
    if (rest < half) out[rest] = (Mix(key + static_cast<uint32_t>(rest) * 0x9E3779B9u) & 0xFFFFu) >= threshold ? scale : 0.0f;
  }

  const uint32_t threshold;
  const float scale;
  const uint64_t seed;

 private:
  // lowbias32 (Wellons 2018).
  ATTUNE_INLINE static uint32_t Mix(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    x ^= x >> 16;
    return x;
  }
  // SplitMix64's finaliser.
  ATTUNE_INLINE uint32_t RowKey(uint64_t row) const {
    uint64_t z = seed + row * 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return static_cast<uint32_t>(z >> 32) ^ static_cast<uint32_t>(z);
  }
};

}  // namespace attune::training::cpu
