// Which part of an image a random resized crop takes, drawn as torchvision's RandomResizedCrop does: an area, a ratio of sides, a place; ten tries, then the centre. Pure.
//
//   const Box box = DrawRandomCrop(image.width, image.height, /*scale_min=*/0.08, random);
#pragma once

#include "server/base/counter_random.h"
#include "server/images/image.h"

namespace attune::images {

// The area is uniform in [scale_min, 1] of the image's, the ratio width / height log-uniform in [3/4, 4/3]. Draws area and ratio for each try, then top and left.
Box DrawRandomCrop(int width, int height, double scale_min, CounterRandom& random);

}  // namespace attune::images
