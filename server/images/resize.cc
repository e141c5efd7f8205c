#include "server/images/resize.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "server/images/resize_passes.h"

namespace attune::images {
namespace {

// The whole pixels that have a share in `region`.
Box CoveredBy(const Region& region, const Image& image) {
  const int left = std::clamp(static_cast<int>(std::floor(region.x)), 0, image.width - 1);
  const int top = std::clamp(static_cast<int>(std::floor(region.y)), 0, image.height - 1);
  const int right = std::clamp(static_cast<int>(std::ceil(region.x + region.width)), left + 1, image.width);
  const int bottom = std::clamp(static_cast<int>(std::ceil(region.y + region.height)), top + 1, image.height);
  return {left, top, right - left, bottom - top};
}

}  // namespace

Image Resize(const Image& image, int width, int height, ResizeFilter filter) {
  return ResizeCrop(image, {0, 0, image.width, image.height}, width, height, {0, 0, width, height}, filter);
}

Image ResizeCrop(const Image& image, const Box& source, int width, int height, const Box& window, ResizeFilter filter) {
  const Region region = {static_cast<double>(source.x), static_cast<double>(source.y), static_cast<double>(source.width), static_cast<double>(source.height)};
  return ResizeRegion(image, region, width, height, window, filter);
}

Image ResizeRegion(const Image& image, const Region& region, int width, int height, const Box& window, ResizeFilter filter) {
  const Box source = CoveredBy(region, image);
  const Taps across = MakeTaps({source.width, region.x - source.x, region.width, width, window.x, window.width}, filter);
  const Taps down = MakeTaps({source.height, region.y - source.y, region.height, height, window.y, window.height}, filter);
  const ResizePasses& passes = FastestPasses();
  const int rows = down.end_input() - down.first_input();
  const size_t narrow_bytes = size_t{3} * window.width;
  const auto narrow = std::make_unique_for_overwrite<uint8_t[]>(narrow_bytes * rows);
  passes.horizontal(image.row(source.y + down.first_input()) + 3 * source.x, image.row_bytes(), source.width, rows, across, narrow.get());
  Image out(window.width, window.height);
  passes.vertical(narrow.get(), narrow_bytes, down, out.pixels.data());
  return out;
}

}  // namespace attune::images
