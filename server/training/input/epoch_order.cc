#include "server/training/input/epoch_order.h"

#include <numeric>
#include <utility>

namespace attune::training {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ull;  // 2^64 / golden ratio: SplitMix64's increment

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Streams of one seed are spread over the whole state space rather than next to each other.
uint64_t Key(uint64_t seed, uint64_t stream) { return Mix(Mix(seed + kGolden) ^ (stream * kGolden + 0xD1B54A32D192ED03ull)); }

constexpr uint64_t kStepStream = 0x53544550'00000000ull;  // keeps step seeds apart from epoch orders

}  // namespace

CounterRandom::CounterRandom(uint64_t seed, uint64_t stream) : key_(Key(seed, stream)) {}

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

std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t rows) {
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), int64_t{0});
  CounterRandom random(seed, static_cast<uint64_t>(epoch));
  for (int64_t i = rows - 1; i > 0; --i) {
    std::swap(order[i], order[random.Below(static_cast<uint64_t>(i) + 1)]);
  }
  return order;
}

uint64_t StepSeed(uint64_t seed, int64_t micro_step) { return Key(seed, kStepStream + static_cast<uint64_t>(micro_step)); }

}  // namespace attune::training
