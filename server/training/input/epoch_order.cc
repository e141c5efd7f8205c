#include "server/training/input/epoch_order.h"

#include <numeric>
#include <utility>

#include "server/base/counter_random.h"

namespace attune::training {
namespace {

constexpr uint64_t kStepStream = 0x53544550'00000000ull;  // keeps step seeds apart from epoch orders

}  // namespace

std::vector<int64_t> EpochOrder(uint64_t seed, int64_t epoch, int64_t rows) {
  std::vector<int64_t> order(rows);
  std::iota(order.begin(), order.end(), int64_t{0});
  CounterRandom random(seed, static_cast<uint64_t>(epoch));
  for (int64_t i = rows - 1; i > 0; --i) {
    std::swap(order[i], order[random.Below(static_cast<uint64_t>(i) + 1)]);
  }
  return order;
}

uint64_t StepSeed(uint64_t seed, int64_t micro_step) { return StreamKey(seed, kStepStream + static_cast<uint64_t>(micro_step)); }

}  // namespace attune::training
