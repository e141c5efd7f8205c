#include "server/images/resize_passes.h"

#include <algorithm>
#include <vector>

namespace attune::images {
namespace {

constexpr int32_t kHalf = 1 << (Taps::kPrecisionBits - 1);

uint8_t ToByte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> Taps::kPrecisionBits, 0, 255)); }

void Horizontal(const uint8_t* source, size_t stride, int, int rows, const Taps& taps, uint8_t* target) {
  for (int y = 0; y < rows; ++y, source += stride) {
    for (int i = 0; i < taps.outputs(); ++i, target += 3) {
      const uint8_t* __restrict pixel = source + size_t{3} * taps.first[i];
      const int32_t* __restrict weights = taps.weights_of(i);
      int32_t red = kHalf, green = kHalf, blue = kHalf;
      for (int k = 0; k < taps.length[i]; ++k, pixel += 3) {
        red += pixel[0] * weights[k];
        green += pixel[1] * weights[k];
        blue += pixel[2] * weights[k];
      }
      target[0] = ToByte(red);
      target[1] = ToByte(green);
      target[2] = ToByte(blue);
    }
  }
}

void Vertical(const uint8_t* source, size_t row_bytes, const Taps& taps, uint8_t* target) {
  std::vector<int32_t> sums(row_bytes);
  for (int i = 0; i < taps.outputs(); ++i, target += row_bytes) {
    std::fill(sums.begin(), sums.end(), kHalf);
    int32_t* __restrict sum = sums.data();
    for (int k = 0; k < taps.length[i]; ++k) {
      const uint8_t* __restrict row = source + row_bytes * (taps.first[i] - taps.first_input() + k);
      const int32_t weight = taps.weights_of(i)[k];
      for (size_t x = 0; x < row_bytes; ++x) sum[x] += row[x] * weight;
    }
    for (size_t x = 0; x < row_bytes; ++x) target[x] = ToByte(sum[x]);
  }
}

}  // namespace

const ResizePasses& PortablePasses() {
  static constexpr ResizePasses kPasses = {&Horizontal, &Vertical};
  return kPasses;
}

const ResizePasses& FastestPasses() {
  static const ResizePasses& passes = Avx2Passes() != nullptr ? *Avx2Passes() : PortablePasses();
  return passes;
}

}  // namespace attune::images
