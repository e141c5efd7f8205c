#include "server/images/augment/tone_operations.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace attune::images {
namespace {

using ValueTable = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

std::array<Histogram, 3> CountValues(const Image& image) {
  std::array<Histogram, 3> counts = {};
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    for (size_t c = 0; c < 3; ++c) ++counts[c][image.pixels[i + c]];
  }
  return counts;
}

void MapValues(Image& image, const std::array<ValueTable, 3>& tables) {
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    for (size_t c = 0; c < 3; ++c) image.pixels[i + c] = tables[c][image.pixels[i + c]];
  }
}

ValueTable Unchanged() {
  ValueTable table;
  std::iota(table.begin(), table.end(), uint8_t{0});
  return table;
}

ValueTable Stretched(const Histogram& counts) {
  const auto used = [](int64_t count) { return count > 0; };
  const int lowest = static_cast<int>(std::find_if(counts.begin(), counts.end(), used) - counts.begin());
  const int highest = 255 - static_cast<int>(std::find_if(counts.rbegin(), counts.rend(), used) - counts.rbegin());
  if (highest <= lowest) return Unchanged();
  const double scale = 255.0 / (highest - lowest), offset = -lowest * scale;
  ValueTable table;
  for (int v = 0; v < 256; ++v) table[v] = static_cast<uint8_t>(std::clamp(static_cast<int>(v * scale + offset), 0, 255));
  return table;
}

ValueTable Equalized(const Histogram& counts) {
  const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  const int64_t last = *std::find_if(counts.rbegin(), counts.rend(), [](int64_t count) { return count > 0; });
  const int64_t step = (total - last) / 255;
  if (step == 0) return Unchanged();
  ValueTable table;
  int64_t below = step / 2;
  for (int v = 0; v < 256; ++v) {
    table[v] = static_cast<uint8_t>(std::min<int64_t>(below / step, 255));
    below += counts[v];
  }
  return table;
}

void MapAllChannels(Image& image, const ValueTable& table) {
  for (uint8_t& value : image.pixels) value = table[value];
}

}  // namespace

void Posterize(Image& image, int bits) {
  const auto mask = static_cast<uint8_t>(0xFF << (8 - bits));
  for (uint8_t& value : image.pixels) value &= mask;
}

void Solarize(Image& image, double threshold) {
  ValueTable table;
  for (int v = 0; v < 256; ++v) table[v] = static_cast<uint8_t>(v < threshold ? v : 255 - v);
  MapAllChannels(image, table);
}

void AutoContrast(Image& image) {
  if (image.pixels.empty()) return;
  const std::array<Histogram, 3> counts = CountValues(image);
  MapValues(image, {Stretched(counts[0]), Stretched(counts[1]), Stretched(counts[2])});
}

void Equalize(Image& image) {
  if (image.pixels.empty()) return;
  const std::array<Histogram, 3> counts = CountValues(image);
  MapValues(image, {Equalized(counts[0]), Equalized(counts[1]), Equalized(counts[2])});
}

}  // namespace attune::images
