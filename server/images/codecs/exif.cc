#include "server/images/codecs/exif.h"

#include <cstddef>
#include <cstdint>

#include "server/images/codecs/bytes.h"

namespace attune::images {
namespace {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);
constexpr uint32_t kOrientationTag = 0x0112, kShortType = 3;
constexpr size_t kEntryBytes = 12;

}  // namespace

int ExifOrientation(std::string_view tiff) {
  if (tiff.substr(0, kExifPrefix.size()) == kExifPrefix) tiff.remove_prefix(kExifPrefix.size());
  if (tiff.size() < 8) return 1;
  const bool little = tiff.substr(0, 2) == "II";
  if (!little && tiff.substr(0, 2) != "MM") return 1;
  const auto number16 = little ? &LittleEndian16 : &BigEndian16;
  const size_t directory = (little ? LittleEndian32 : BigEndian32)(tiff.data() + 4);
  if (directory + 2 > tiff.size()) return 1;
  const size_t entries = number16(tiff.data() + directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + i * kEntryBytes;
    if (at + kEntryBytes > tiff.size()) return 1;
    if (number16(tiff.data() + at) != kOrientationTag) continue;
    const uint32_t value = number16(tiff.data() + at + 8);
    return number16(tiff.data() + at + 2) == kShortType && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image Oriented(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const int width = image.width, height = image.height;
  const bool swapped = orientation >= 5;
  // Where the upper left pixel of the result comes from: 2, 3, 7, 8 begin at the right edge, 3, 4, 6, 7 at the lower.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const ptrdiff_t column = from_right ? -3 : 3;
  const ptrdiff_t line = (from_below ? -1 : 1) * static_cast<ptrdiff_t>(image.row_bytes());
  const ptrdiff_t along = swapped ? line : column, down = swapped ? column : line;
  const uint8_t* origin = image.row(from_below ? height - 1 : 0) + (from_right ? 3 * (width - 1) : 0);
  Image turned(swapped ? height : width, swapped ? width : height);
  for (int y = 0; y < turned.height; ++y) {
    const uint8_t* from = origin + y * down;
    uint8_t* to = turned.row(y);
    for (int x = 0; x < turned.width; ++x) std::memcpy(to + 3 * x, from + x * along, 3);
  }
  return turned;
}

}  // namespace attune::images
