#include "server/datasets/images/thumbnail.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/images/decode.h"

namespace attune::datasets {
namespace {

void AppendBigEndian(uint32_t value, std::string& out) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

// Length, type, content, CRC of type and content (PNG specification, 5.3).
void AppendChunk(std::string_view type, std::string_view content, std::string& out) {
  AppendBigEndian(static_cast<uint32_t>(content.size()), out);
  const size_t from = out.size();
  out.append(type).append(content);
  const auto* checked = reinterpret_cast<const Bytef*>(out.data() + from);
  AppendBigEndian(static_cast<uint32_t>(crc32(0, checked, static_cast<uInt>(out.size() - from))), out);
}

// The mean of the pixels that fall into each new one.
images::Image Shrink(const images::Image& image, int width, int height) {
  images::Image small(width, height);
  for (int y = 0; y < height; ++y) {
    const auto top = static_cast<int>(int64_t{y} * image.height / height);
    const auto bottom = static_cast<int>((int64_t{y} + 1) * image.height / height);
    for (int x = 0; x < width; ++x) {
      const auto left = static_cast<int>(int64_t{x} * image.width / width);
      const auto right = static_cast<int>((int64_t{x} + 1) * image.width / width);
      const int64_t count = int64_t{bottom - top} * (right - left);
      for (int channel = 0; channel < 3; ++channel) {
        int64_t sum = count / 2;
        for (int row = top; row < bottom; ++row) {
          for (int column = left; column < right; ++column) sum += image.row(row)[3 * column + channel];
        }
        small.row(y)[3 * x + channel] = static_cast<uint8_t>(sum / count);
      }
    }
  }
  return small;
}

}  // namespace

std::string EncodePng(const images::Image& image) {
  std::string header;
  AppendBigEndian(static_cast<uint32_t>(image.width), header);
  AppendBigEndian(static_cast<uint32_t>(image.height), header);
  header.append("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB, deflate, adaptive filters, not interlaced
  std::string lines;
  for (int y = 0; y < image.height; ++y) {
    // Filter 1 (differences to the left neighbour): a quarter less than none, for photos.
    lines += '\x01';
    const uint8_t* row = image.row(y);
    for (size_t i = 0; i < image.row_bytes(); ++i) lines += static_cast<char>(i < 3 ? row[i] : row[i] - row[i - 3]);
  }
  uLongf size = compressBound(static_cast<uLong>(lines.size()));
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(lines.data()),
            static_cast<uLong>(lines.size()), Z_DEFAULT_COMPRESSION);
  packed.resize(size);
  std::string png("\x89PNG\r\n\x1a\n", 8);
  AppendChunk("IHDR", header, png);
  AppendChunk("IDAT", packed, png);
  AppendChunk("IEND", "", png);
  return png;
}

absl::StatusOr<std::string> MakeThumbnail(std::string_view bytes, int longer_side) {
  ATTUNE_ASSIGN_OR_RETURN(const images::Image image, images::Decode(bytes, {.shorter_side = longer_side}));
  const int longer = std::max(image.width, image.height);
  if (longer <= longer_side) return EncodePng(image);
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>((int64_t{side} * longer_side + longer / 2) / longer));
  };
  return EncodePng(Shrink(image, scaled(image.width), scaled(image.height)));
}

}  // namespace attune::datasets
