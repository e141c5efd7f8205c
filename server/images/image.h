// Image: decoded pixels, always 8-bit RGB. A plain value; as thread-safe as a vector.
//
//   ATTUNE_ASSIGN_OR_RETURN(Image image, Decode(bytes, {}));
//   const uint8_t* pixel = image.row(y) + 3 * x;  // red, green, blue
//   Image part = Crop(image, {.x = 16, .y = 0, .width = 224, .height = 224});
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace attune::images {

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3]

  Image() = default;
  Image(int width, int height) : width(width), height(height), pixels(row_bytes() * height) {}
  size_t row_bytes() const { return size_t{3} * width; }
  uint8_t* row(int y) { return pixels.data() + row_bytes() * y; }
  const uint8_t* row(int y) const { return pixels.data() + row_bytes() * y; }
};

// Whole pixels; x and y are the upper left corner.
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

// `box` must lie within the image.
inline Image Crop(const Image& image, const Box& box) {
  Image part(box.width, box.height);
  for (int y = 0; y < box.height; ++y) std::memcpy(part.row(y), image.row(box.y + y) + 3 * box.x, part.row_bytes());
  return part;
}

}  // namespace attune::images
