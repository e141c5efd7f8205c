#include "server/images/mix.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attune::images {
namespace {

// Uniform in (0, 1]: its logarithm is finite.
double Positive(CounterRandom& random) { return 1 - random.Uniform(); }

// By Box and Muller (1958); the second of the pair is not kept, so that a draw is two numbers wherever it happens.
double DrawNormal(CounterRandom& random) {
  const double radius = std::sqrt(-2 * std::log(Positive(random)));
  return radius * std::cos(2 * std::numbers::pi * random.Uniform());
}

double DrawLogGamma(double shape, CounterRandom& random) {
  if (shape < 1) {
    const double log_larger = DrawLogGamma(shape + 1, random);
    return log_larger + std::log(Positive(random)) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = DrawNormal(random);
    const double log_uniform = std::log(Positive(random));
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (log_uniform < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

}  // namespace

double DrawBeta(double alpha, CounterRandom& random) {
  const double first = DrawLogGamma(alpha, random), second = DrawLogGamma(alpha, random);
  return 1 / (1 + std::exp(second - first));
}

MixDraw DrawMix(double mixup_alpha, double cutmix_alpha, int size, CounterRandom& random) {
  const bool both = mixup_alpha > 0 && cutmix_alpha > 0;
  if (mixup_alpha <= 0 && cutmix_alpha <= 0) return {};
  const bool mixup = both ? random.Below(2) == 0 : mixup_alpha > 0;
  const double share = DrawBeta(mixup ? mixup_alpha : cutmix_alpha, random);
  if (mixup) return {MixDraw::kMixup, share, {}};
  // The box is centred anywhere and cut at the border, so its area is not quite 1 - share: the weight follows the area.
  const int x = static_cast<int>(random.Below(size)), y = static_cast<int>(random.Below(size));
  const int half = static_cast<int>(0.5 * std::sqrt(1 - share) * size);
  const int left = std::max(x - half, 0), top = std::max(y - half, 0);
  const int right = std::min(x + half, size), bottom = std::min(y + half, size);
  const Box box = {left, top, right - left, bottom - top};
  return {MixDraw::kCutMix, 1 - static_cast<double>(box.width) * box.height / (static_cast<double>(size) * size), box};
}

}  // namespace attune::images
