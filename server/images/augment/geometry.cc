#include "server/images/augment/geometry.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace attune::images {
namespace {

// Where the pixel at (x, y) of the result comes from: (m0 x + m1 y + m2, m3 x + m4 y + m5).
using AffineMap = std::array<double, 6>;

int64_t Fixed16(double value) { return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5)); }

void Transform(Image& image, const AffineMap& map) {
  const Image source = std::exchange(image, Image(image.width, image.height));
  const int64_t x_by_x = Fixed16(map[0]), x_by_y = Fixed16(map[1]), y_by_x = Fixed16(map[3]), y_by_y = Fixed16(map[4]);
  // The middle of the first pixel.
  int64_t row_x = Fixed16(map[2] + map[0] * 0.5 + map[1] * 0.5), row_y = Fixed16(map[5] + map[3] * 0.5 + map[4] * 0.5);
  for (int y = 0; y < image.height; ++y, row_x += x_by_y, row_y += y_by_y) {
    uint8_t* out = image.row(y);
    int64_t from_x = row_x, from_y = row_y;
    for (int x = 0; x < image.width; ++x, out += 3, from_x += x_by_x, from_y += y_by_x) {
      const int64_t column = from_x >> 16, line = from_y >> 16;
      if (column < 0 || column >= source.width || line < 0 || line >= source.height) continue;
      std::memcpy(out, source.row(static_cast<int>(line)) + 3 * column, 3);
    }
  }
}

// To 15 decimals, as Pillow rounds the sines and cosines of a rotation.
double Rounded15(double value) { return std::nearbyint(value * 1e15) / 1e15; }

}  // namespace

void FlipHorizontally(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right) std::swap_ranges(row + 3 * left, row + 3 * left + 3, row + 3 * right);
  }
}

void ShearX(Image& image, double slope) { Transform(image, {1, slope, 0, 0, 1, 0}); }

void ShearY(Image& image, double slope) { Transform(image, {1, 0, 0, slope, 1, 0}); }

void Translate(Image& image, int x, int y) { Transform(image, {1, 0, -static_cast<double>(x), 0, 1, -static_cast<double>(y)}); }

void Rotate(Image& image, double degrees) {
  const double angle = -degrees * (std::numbers::pi / 180);
  const double cosine = Rounded15(std::cos(angle)), sine = Rounded15(std::sin(angle));
  const double x = image.width / 2.0, y = image.height / 2.0;
  Transform(image, {cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y});
}

}  // namespace attune::images
