// Brightness, contrast, saturation, sharpness and hue, equal to Pillow's ImageEnhance and torchvision's adjust_hue to the bit. Each blends a lesser version of the image with
// the image: a factor of 1 leaves it as it is, 0 gives the lesser version (black, grey, without colour, blurred), more than 1 goes beyond. In place; pure, thread-safe.
//
//   AdjustContrast(image, 1.2);
//   AdjustHue(image, -0.1);  // turns of the colour circle
#pragma once

#include "server/images/image.h"

namespace attune::images {

void AdjustBrightness(Image& image, double factor);
void AdjustContrast(Image& image, double factor);
void AdjustSaturation(Image& image, double factor);
void AdjustSharpness(Image& image, double factor);
// `shift` is in [-0.5, 0.5].
void AdjustHue(Image& image, double shift);

}  // namespace attune::images
