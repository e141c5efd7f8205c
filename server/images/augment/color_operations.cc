#include "server/images/augment/color_operations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace attune::images {
namespace {

// Cut off, not rounded, in single precision: Pillow's blend.
uint8_t Blend(int lesser, int value, float factor) {
  const float blended = static_cast<float>(lesser) + factor * static_cast<float>(value - lesser);
  return static_cast<uint8_t>(std::clamp(blended, 0.0f, 255.0f));
}

// Luma of ITU-R 601 in 16-bit fixed point.
int Grey(const uint8_t* pixel) { return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16; }

void BlendWithConstant(Image& image, int lesser, double factor) {
  std::array<uint8_t, 256> table;
  for (int v = 0; v < 256; ++v) table[v] = Blend(lesser, v, static_cast<float>(factor));
  for (uint8_t& value : image.pixels) value = table[value];
}

struct Hsv {
  uint8_t hue, saturation, value;
};

// Both conversions mix single and double precision: so does the reference, and the last bit depends on it.
Hsv ToHsv(const uint8_t* rgb) {
  const uint8_t highest = std::max({rgb[0], rgb[1], rgb[2]}), lowest = std::min({rgb[0], rgb[1], rgb[2]});
  if (highest == lowest) return {0, 0, highest};
  const float range = static_cast<float>(highest - lowest);
  const float saturation = range / static_cast<float>(highest);
  const float red = static_cast<float>(highest - rgb[0]) / range;
  const float green = static_cast<float>(highest - rgb[1]) / range;
  const float blue = static_cast<float>(highest - rgb[2]) / range;
  float hue;
  if (rgb[0] == highest) {
    hue = blue - green;
  } else if (rgb[1] == highest) {
    hue = static_cast<float>(2.0 + red - blue);
  } else {
    hue = static_cast<float>(4.0 + green - red);
  }
  const double turn = hue / 6.0 + 1.0;  // in [5/6, 11/6]
  hue = static_cast<float>(turn >= 1.0 ? turn - 1.0 : turn);
  const auto to_byte = [](float share) { return static_cast<uint8_t>(std::clamp(static_cast<int>(share * 255.0), 0, 255)); };
  return {to_byte(hue), to_byte(saturation), highest};
}

void ToRgb(const Hsv& hsv, uint8_t* rgb) {
  const uint8_t v = hsv.value;
  if (hsv.saturation == 0) {
    rgb[0] = rgb[1] = rgb[2] = v;
    return;
  }
  const double sixths = static_cast<float>(hsv.hue) * 6.0 / 255.0;
  const int sector = static_cast<int>(sixths);
  const float within = static_cast<float>(sixths - static_cast<float>(sector));
  const float saturation = static_cast<float>(static_cast<float>(hsv.saturation) / 255.0);
  const auto level = [v](double share) { return static_cast<uint8_t>(std::clamp(static_cast<int>(std::round(static_cast<float>(v) * share)), 0, 255)); };
  const uint8_t low = level(1.0 - saturation);
  const uint8_t falling = level(1.0 - saturation * within);
  const uint8_t rising = level(1.0 - saturation * (1.0 - within));
  const uint8_t colors[6][3] = {{v, rising, low}, {falling, v, low}, {low, v, rising}, {low, falling, v}, {rising, low, v}, {v, low, falling}};
  std::copy_n(colors[sector % 6], 3, rgb);
}

}  // namespace

void AdjustBrightness(Image& image, double factor) { BlendWithConstant(image, 0, factor); }

void AdjustContrast(Image& image, double factor) {
  int64_t sum = 0;
  const int64_t pixels = int64_t{image.width} * image.height;
  for (int64_t i = 0; i < pixels; ++i) sum += Grey(&image.pixels[3 * i]);
  BlendWithConstant(image, static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5), factor);
}

void AdjustSaturation(Image& image, double factor) {
  const float f = static_cast<float>(factor);
  if (f == 1) return;
  uint8_t* __restrict pixel = image.pixels.data();
  const int64_t pixels = int64_t{image.width} * image.height;
  for (int64_t i = 0; i < pixels; ++i, pixel += 3) {
    const int grey = Grey(pixel);
    for (int c = 0; c < 3; ++c) pixel[c] = Blend(grey, pixel[c], f);
  }
}

void AdjustSharpness(Image& image, double factor) {
  if (image.width < 3 || image.height < 3) return;  // too small for the blur, which leaves the border as it is
  constexpr float kSide = 1.0f / 13, kMiddle = 5.0f / 13;
  const float f = static_cast<float>(factor);
  if (f == 1) return;
  const Image source = image;
  const size_t row_bytes = source.row_bytes();
  for (int y = 1; y + 1 < source.height; ++y) {
    const uint8_t* __restrict above = source.row(y - 1);
    const uint8_t* __restrict middle = source.row(y);
    const uint8_t* __restrict below = source.row(y + 1);
    uint8_t* __restrict out = image.row(y);
    for (size_t x = 3; x + 3 < row_bytes; ++x) {
      float blurred = 0.5f;
      blurred += static_cast<float>(below[x - 3]) * kSide + static_cast<float>(below[x]) * kSide + static_cast<float>(below[x + 3]) * kSide;
      blurred += static_cast<float>(middle[x - 3]) * kSide + static_cast<float>(middle[x]) * kMiddle + static_cast<float>(middle[x + 3]) * kSide;
      blurred += static_cast<float>(above[x - 3]) * kSide + static_cast<float>(above[x]) * kSide + static_cast<float>(above[x + 3]) * kSide;
      out[x] = Blend(static_cast<int>(std::clamp(blurred, 0.0f, 255.0f)), middle[x], f);
    }
  }
}

void AdjustHue(Image& image, double shift) {
  const auto turn = static_cast<uint8_t>(static_cast<int>(shift * 255));
  const int64_t pixels = int64_t{image.width} * image.height;
  for (int64_t i = 0; i < pixels; ++i) {
    uint8_t* pixel = &image.pixels[3 * i];
    Hsv hsv = ToHsv(pixel);
    hsv.hue = static_cast<uint8_t>(hsv.hue + turn);
    ToRgb(hsv, pixel);
  }
}

}  // namespace attune::images
