#include "server/images/augment/color_jitter.h"

#include <algorithm>
#include <utility>

#include "server/images/augment/color_operations.h"

namespace attune::images {
namespace {

double DrawFactor(double range, CounterRandom& random) { return range > 0 ? random.Uniform(std::max(0.0, 1 - range), 1 + range) : 1; }

}  // namespace

ColorJitterDraw DrawColorJitter(const ColorJitterRange& range, CounterRandom& random) {
  ColorJitterDraw draw;
  for (size_t last = draw.order.size() - 1; last > 0; --last) std::swap(draw.order[last], draw.order[random.Below(last + 1)]);
  draw.brightness = DrawFactor(range.brightness, random);
  draw.contrast = DrawFactor(range.contrast, random);
  draw.saturation = DrawFactor(range.saturation, random);
  if (range.hue > 0) draw.hue = random.Uniform(-range.hue, range.hue);
  return draw;
}

void ApplyColorJitter(const ColorJitterDraw& draw, Image& image) {
  for (ColorJitterDraw::Kind kind : draw.order) {
    if (kind == ColorJitterDraw::kBrightness && draw.brightness != 1) AdjustBrightness(image, draw.brightness);
    if (kind == ColorJitterDraw::kContrast && draw.contrast != 1) AdjustContrast(image, draw.contrast);
    if (kind == ColorJitterDraw::kSaturation && draw.saturation != 1) AdjustSaturation(image, draw.saturation);
    if (kind == ColorJitterDraw::kHue && draw.hue != 0) AdjustHue(image, draw.hue);
  }
}

}  // namespace attune::images
