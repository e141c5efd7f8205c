// Mixing the images of a batch: what mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019) draw for it, as torchvision.transforms.v2 does. Doing it is the batch's own
// business: image = weight * image + (1 - weight) * other, or the box of the other pasted in; the labels are mixed with the same weight. Pure.
//
//   CounterRandom random(seed, step);
//   const MixDraw draw = DrawMix(/*mixup_alpha=*/0.2, /*cutmix_alpha=*/1, /*size=*/224, random);
#pragma once

#include "server/base/counter_random.h"
#include "server/images/image.h"

namespace attune::images {

struct MixDraw {
  enum Kind { kNone, kMixup, kCutMix };
  Kind kind = kNone;
  double weight = 1;  // of the image itself; 1 - weight is the other's
  Box box;            // of CutMix: what the other image covers; may be empty
};

// An alpha of 0 turns that kind off; with both on, each is as likely. `size` is the side of the (square) images.
MixDraw DrawMix(double mixup_alpha, double cutmix_alpha, int size, CounterRandom& random);

// Beta(alpha, alpha), alpha over 0, from two gammas by Marsaglia and Tsang (2000) in the logarithm, so that small alphas do not underflow.
double DrawBeta(double alpha, CounterRandom& random);

}  // namespace attune::images
