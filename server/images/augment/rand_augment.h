// RandAugment (Cubuk et al. 2019) with torchvision's fourteen operations and its table of magnitudes; nearest pixels, black where nothing was. Pure.
//
//   RandAugment(/*operations=*/2, /*magnitude=*/9, image, random);
#pragma once

#include "server/base/counter_random.h"
#include "server/images/image.h"

namespace attune::images {

// In the order in which they are numbered for the draw.
enum class RandAugmentOperation {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
};
inline constexpr int kRandAugmentOperations = 14, kRandAugmentMagnitudes = 31;

// What `magnitude` (0..30) means to an operation on an image of this size, before a sign is drawn; 0 for those that have none.
double RandAugmentMagnitude(RandAugmentOperation operation, int magnitude, int width, int height);
// Whether a sign is drawn for it.
bool IsSigned(RandAugmentOperation operation);
void ApplyRandAugment(RandAugmentOperation operation, double magnitude, Image& image);

// `operations` times: draws an operation, and a sign where it has one, and applies it.
void RandAugment(int operations, int magnitude, Image& image, CounterRandom& random);

}  // namespace attune::images
