// Colour jitter as torchvision's ColorJitter: brightness, contrast, saturation and hue by random factors, in random order. Pure.
//
//   const ColorJitterDraw draw = DrawColorJitter({.brightness = 0.4, .hue = 0.1}, random);
//   ApplyColorJitter(draw, image);
#pragma once

#include <array>

#include "server/base/counter_random.h"
#include "server/images/image.h"

namespace attune::images {

// How far each may go; 0: off. Factors are uniform in [max(0, 1 - x), 1 + x], the hue's shift in [-x, x] (x up to 0.5).
struct ColorJitterRange {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
};

struct ColorJitterDraw {
  enum Kind { kBrightness, kContrast, kSaturation, kHue };
  std::array<Kind, 4> order = {kBrightness, kContrast, kSaturation, kHue};
  double brightness = 1, contrast = 1, saturation = 1, hue = 0;  // as drawn; these leave the image as it is
};

// Draws the order (three numbers), then the factor of each that is on.
ColorJitterDraw DrawColorJitter(const ColorJitterRange& range, CounterRandom& random);

void ApplyColorJitter(const ColorJitterDraw& draw, Image& image);

}  // namespace attune::images
