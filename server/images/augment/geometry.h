// Operations that move pixels: the mirror image, shears, translations and rotations to the nearest pixel, with black where nothing was; equal to Pillow's transpose and
// transform to the bit for sides under 32768. In place; pure, thread-safe.
//
//   FlipHorizontally(image);
//   Rotate(image, /*degrees=*/-12);  // clockwise, about the centre
#pragma once

#include "server/images/image.h"

namespace attune::images {

void FlipHorizontally(Image& image);
// `slope` is in pixels for each row (column) away from the upper left corner; positive values move the image to the left (up).
void ShearX(Image& image, double slope);
void ShearY(Image& image, double slope);
// Positive values move the image to the right (down).
void Translate(Image& image, int x, int y);
// Counterclockwise about the centre.
void Rotate(Image& image, double degrees);

}  // namespace attune::images
