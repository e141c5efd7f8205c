// Operations that map each channel's values by a table: posterize, solarize, autocontrast, equalize; equal to Pillow's ImageOps to the bit. In place; pure, thread-safe.
//
//   Posterize(image, /*bits=*/4);
//   Solarize(image, /*threshold=*/128);
#pragma once

#include "server/images/image.h"

namespace attune::images {

// Keeps the upper `bits` (1..8) of each value.
void Posterize(Image& image, int bits);
// Inverts values of `threshold` and over.
void Solarize(Image& image, double threshold);
// Stretches each channel from its lowest and highest value to 0 and 255.
void AutoContrast(Image& image);
// Spreads each channel so that all values are about as frequent.
void Equalize(Image& image);

}  // namespace attune::images
