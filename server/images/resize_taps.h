// The weights of an antialiased resize along one axis, in Pillow's fixed point: each output is the sum of `weight * input`, over 22 bits. Pure, thread-safe to read.
//
//   Taps taps = MakeTaps({.source = 500, .length = 500, .target = 256, .first = 16, .count = 224}, ResizeFilter::kBilinear);
//   const int32_t* weights = taps.weights_of(i);  // for inputs taps.first[i], taps.first[i] + 1, ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attune::images {

enum class ResizeFilter { kBilinear, kBicubic };

// The inputs from `begin` to `begin + length`, which may be parts of pixels, become `target` outputs, of which `count` are wanted from `first` on. There are inputs
// 0 .. source - 1.
struct ResizeAxis {
  int source = 0;
  double begin = 0, length = 0;
  int target = 0, first = 0, count = 0;
};

struct Taps {
  static constexpr int kPrecisionBits = 22;
  int stride = 0;                // of `weights`: a multiple of 4
  std::vector<int> first;        // the first input of each output
  std::vector<int> length;       // how many inputs each output takes, at least 1
  std::vector<int32_t> weights;  // [outputs, stride], 0 behind `length`

  int outputs() const { return static_cast<int>(first.size()); }
  const int32_t* weights_of(int output) const { return weights.data() + static_cast<size_t>(output) * stride; }
  // The inputs that are used at all: [first_input, end_input).
  int first_input() const { return first.front(); }
  int end_input() const { return first.back() + length.back(); }
};

Taps MakeTaps(const ResizeAxis& axis, ResizeFilter filter);

}  // namespace attune::images
