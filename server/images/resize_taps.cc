#include "server/images/resize_taps.h"

#include <algorithm>
#include <cmath>

namespace attune::images {
namespace {

double Bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

// Keys' cubic convolution with a = -0.5, in the order of operations that gives Pillow's last bit.
double Bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

int32_t FixedPoint(double weight) { return static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << Taps::kPrecisionBits)); }

}  // namespace

Taps MakeTaps(const ResizeAxis& axis, ResizeFilter filter) {
  const auto weight_at = filter == ResizeFilter::kBicubic ? &Bicubic : &Bilinear;
  const double scale = axis.length / axis.target;
  const double stretch = std::max(scale, 1.0);  // when an image becomes smaller, the filter grows with it: that is the antialiasing
  const double support = (filter == ResizeFilter::kBicubic ? 2.0 : 1.0) * stretch;
  const double inverse = 1.0 / stretch;
  Taps taps;
  taps.stride = (static_cast<int>(std::ceil(support)) * 2 + 1 + 3) / 4 * 4;
  taps.first.resize(axis.count);
  taps.length.resize(axis.count);
  taps.weights.resize(static_cast<size_t>(axis.count) * taps.stride);
  std::vector<double> exact(taps.stride);
  for (int i = 0; i < axis.count; ++i) {
    const double center = axis.begin + (axis.first + i + 0.5) * scale;
    const int begin = std::clamp(static_cast<int>(center - support + 0.5), 0, axis.source - 1);
    const int end = std::clamp(static_cast<int>(center + support + 0.5), begin + 1, axis.source);
    double sum = 0;
    for (int x = begin; x < end; ++x) sum += exact[x - begin] = weight_at((x - center + 0.5) * inverse);
    int32_t* weights = taps.weights.data() + static_cast<size_t>(i) * taps.stride;
    for (int x = 0; x < end - begin; ++x) weights[x] = FixedPoint(sum != 0 ? exact[x] / sum : exact[x]);
    taps.first[i] = begin;
    taps.length[i] = end - begin;
  }
  return taps;
}

}  // namespace attune::images
