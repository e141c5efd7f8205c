#include "server/images/augment/rand_augment.h"

#include <cmath>

#include "server/images/augment/color_operations.h"
#include "server/images/augment/geometry.h"
#include "server/images/augment/tone_operations.h"

namespace attune::images {

double RandAugmentMagnitude(RandAugmentOperation operation, int magnitude, int width, int height) {
  constexpr double kHighest = kRandAugmentMagnitudes - 1;
  const double share = magnitude / kHighest;
  switch (operation) {
    case RandAugmentOperation::kShearX:
    case RandAugmentOperation::kShearY: return 0.3 * share;
    case RandAugmentOperation::kTranslateX: return 150.0 / 331.0 * width * share;
    case RandAugmentOperation::kTranslateY: return 150.0 / 331.0 * height * share;
    case RandAugmentOperation::kRotate: return 30 * share;
    case RandAugmentOperation::kBrightness:
    case RandAugmentOperation::kColor:
    case RandAugmentOperation::kContrast:
    case RandAugmentOperation::kSharpness: return 0.9 * share;
    case RandAugmentOperation::kPosterize: return 8 - std::nearbyint(magnitude / (kHighest / 4));
    case RandAugmentOperation::kSolarize: return 255 * (1 - share);
    case RandAugmentOperation::kIdentity:
    case RandAugmentOperation::kAutoContrast:
    case RandAugmentOperation::kEqualize: return 0;
  }
  return 0;
}

bool IsSigned(RandAugmentOperation operation) { return operation >= RandAugmentOperation::kShearX && operation <= RandAugmentOperation::kSharpness; }

void ApplyRandAugment(RandAugmentOperation operation, double magnitude, Image& image) {
  switch (operation) {
    case RandAugmentOperation::kIdentity: return;
    case RandAugmentOperation::kShearX: return ShearX(image, magnitude);
    case RandAugmentOperation::kShearY: return ShearY(image, magnitude);
    case RandAugmentOperation::kTranslateX: return Translate(image, static_cast<int>(magnitude), 0);
    case RandAugmentOperation::kTranslateY: return Translate(image, 0, static_cast<int>(magnitude));
    case RandAugmentOperation::kRotate: return Rotate(image, magnitude);
    case RandAugmentOperation::kBrightness: return AdjustBrightness(image, 1 + magnitude);
    case RandAugmentOperation::kColor: return AdjustSaturation(image, 1 + magnitude);
    case RandAugmentOperation::kContrast: return AdjustContrast(image, 1 + magnitude);
    case RandAugmentOperation::kSharpness: return AdjustSharpness(image, 1 + magnitude);
    case RandAugmentOperation::kPosterize: return Posterize(image, static_cast<int>(magnitude));
    case RandAugmentOperation::kSolarize: return Solarize(image, magnitude);
    case RandAugmentOperation::kAutoContrast: return AutoContrast(image);
    case RandAugmentOperation::kEqualize: return Equalize(image);
  }
}

void RandAugment(int operations, int magnitude, Image& image, CounterRandom& random) {
  for (int i = 0; i < operations; ++i) {
    const auto operation = static_cast<RandAugmentOperation>(random.Below(kRandAugmentOperations));
    double amount = RandAugmentMagnitude(operation, magnitude, image.width, image.height);
    if (IsSigned(operation) && random.Below(2) == 1) amount = -amount;
    ApplyRandAugment(operation, amount, image);
  }
}

}  // namespace attune::images
