#include "server/base/counter_random.h"

namespace attune {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;  // 2^64 / golden ratio: SplitMix64's increment

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t StreamKey(uint64_t seed, uint64_t stream) { return Mix(Mix(seed + kGolden) ^ (stream * kGolden + 0xD1B54A32D192ED03ull)); }

CounterRandom::CounterRandom(uint64_t seed, uint64_t stream) : key_(StreamKey(seed, stream)) {}

uint64_t CounterRandom::Next() { return Mix(key_ + kGolden * ++counter_); }

uint64_t CounterRandom::Below(uint64_t bound) {
  // The high half of a 128-bit product is uniform once the few low halves that over-represent a value are rejected.
  unsigned __int128 product = static_cast<unsigned __int128>(Next()) * bound;
  uint64_t low = static_cast<uint64_t>(product);
  if (low < bound) {
    const uint64_t threshold = (0 - bound) % bound;
    while (low < threshold) {
      product = static_cast<unsigned __int128>(Next()) * bound;
      low = static_cast<uint64_t>(product);
    }
  }
  return static_cast<uint64_t>(product >> 64);
}

double CounterRandom::Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

}  // namespace attune
