#include "server/images/augment/random_crop.h"

#include <cmath>

namespace attune::images {
namespace {

constexpr double kNarrowest = 3.0 / 4, kWidest = 4.0 / 3;
constexpr int kTries = 10;

// To the even neighbour at .5, as Python does.
int Rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

Box CentralCrop(int width, int height) {
  const double ratio = static_cast<double>(width) / height;
  int crop_width = width, crop_height = height;
  if (ratio < kNarrowest) {
    crop_height = Rounded(width / kNarrowest);
  } else if (ratio > kWidest) {
    crop_width = Rounded(height * kWidest);
  }
  return {(width - crop_width) / 2, (height - crop_height) / 2, crop_width, crop_height};
}

}  // namespace

Box DrawRandomCrop(int width, int height, double scale_min, CounterRandom& random) {
  const double area = static_cast<double>(width) * height;
  for (int i = 0; i < kTries; ++i) {
    const double target = area * random.Uniform(scale_min, 1);
    const double ratio = std::exp(random.Uniform(std::log(kNarrowest), std::log(kWidest)));
    const int crop_width = Rounded(std::sqrt(target * ratio)), crop_height = Rounded(std::sqrt(target / ratio));
    if (crop_width <= 0 || crop_width > width || crop_height <= 0 || crop_height > height) continue;
    const int top = static_cast<int>(random.Below(height - crop_height + 1));
    const int left = static_cast<int>(random.Below(width - crop_width + 1));
    return {left, top, crop_width, crop_height};
  }
  return CentralCrop(width, height);
}

}  // namespace attune::images
