// BMP: uncompressed, of 1, 4, 8, 24 or 32 bits, bottom up or top down, from OS/2's header to version 5.
#include <algorithm>
#include <cstdlib>
#include <limits>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/images/codecs/bytes.h"
#include "server/images/codecs/codec.h"

namespace attune::images {
namespace {

constexpr size_t kFileHeader = 14, kOs2Header = 12, kInfoHeader = 40;
constexpr uint32_t kRaw = 0, kBitFields = 3;

struct BmpHeader {
  size_t header_bytes = 0, pixels_at = 0;
  int width = 0, height = 0;
  bool top_down = false;
  uint32_t bits = 0, compression = kRaw, colors = 0;
};

bool IsBmp(std::string_view bytes) { return bytes.substr(0, 2) == "BM"; }

absl::StatusOr<BmpHeader> ReadBmpHeader(std::string_view bytes) {
  if (bytes.size() < kFileHeader + kOs2Header) return Truncated(kBmpCodec);
  BmpHeader header;
  header.pixels_at = LittleEndian32(&bytes[10]);
  header.header_bytes = LittleEndian32(&bytes[kFileHeader]);
  const char* fields = &bytes[kFileHeader];
  if (header.header_bytes == kOs2Header) {
    header.width = static_cast<int>(LittleEndian16(fields + 4));
    header.height = static_cast<int>(LittleEndian16(fields + 6));
    header.bits = LittleEndian16(fields + 10);
  } else if (header.header_bytes >= kInfoHeader && header.header_bytes <= 124) {
    if (bytes.size() < kFileHeader + header.header_bytes) return Truncated(kBmpCodec);
    header.width = static_cast<int>(LittleEndian32(fields + 4));
    header.height = static_cast<int>(LittleEndian32(fields + 8));
    header.bits = LittleEndian16(fields + 14);
    header.compression = LittleEndian32(fields + 16);
    header.colors = LittleEndian32(fields + 32);
  } else {
    return Damaged(kBmpCodec, StrCat("its header claims ", header.header_bytes, " bytes"));
  }
  if (header.height < 0 && header.height > std::numeric_limits<int>::min()) {
    header.top_down = true;
    header.height = -header.height;
  }
  const bool known = header.bits == 1 || header.bits == 4 || header.bits == 8 || header.bits == 24 || header.bits == 32;
  if (!known) return Damaged(kBmpCodec, StrCat("it has ", header.bits, " bits for each pixel; known are 1, 4, 8, 24 and 32"));
  if (header.compression != kRaw && !(header.compression == kBitFields && header.bits == 32)) return Damaged(kBmpCodec, "it is compressed");
  return header;
}

absl::StatusOr<ImageInfo> ReadBmpInfo(std::string_view bytes) {
  ATTUNE_ASSIGN_OR_RETURN(const BmpHeader header, ReadBmpHeader(bytes));
  ImageInfo info;
  info.width = header.width;
  info.height = header.height;
  info.channels = header.bits == 32 ? 4 : 3;
  return info;
}

// The colours of a palette as RGB; those that the file does not hold are black.
std::vector<uint8_t> Palette(std::string_view bytes, const BmpHeader& header) {
  std::vector<uint8_t> rgb(3 * 256);
  const size_t most = size_t{1} << header.bits;
  const size_t count = header.colors == 0 ? most : std::min<size_t>(most, header.colors);
  const size_t entry = header.header_bytes == kOs2Header ? 3 : 4;
  for (size_t i = 0; i < count; ++i) {
    const size_t at = kFileHeader + header.header_bytes + i * entry;
    if (at + entry > bytes.size()) break;
    for (size_t c = 0; c < 3; ++c) rgb[3 * i + c] = static_cast<uint8_t>(bytes[at + 2 - c]);
  }
  return rgb;
}

void ReadIndexed(const char* line, int width, uint32_t bits, const std::vector<uint8_t>& palette, uint8_t* out) {
  const uint32_t in_a_byte = 8 / bits, mask = (1u << bits) - 1;
  for (int x = 0; x < width; ++x) {
    const uint32_t shift = 8 - bits * (x % in_a_byte + 1);
    const uint32_t index = ByteAt(line + x / in_a_byte) >> shift & mask;
    std::copy_n(&palette[3 * index], 3, out + 3 * x);
  }
}

// Where red, green and blue are within a 32-bit pixel, in bytes. False where the masks are no whole bytes.
bool ColorBytes(std::string_view bytes, const BmpHeader& header, int (&offsets)[3]) {
  if (header.compression == kRaw) return true;
  const size_t masks = kFileHeader + kInfoHeader;  // within the later headers, or right behind the first
  if (masks + 12 > bytes.size()) return false;
  for (int c = 0; c < 3; ++c) {
    const uint32_t mask = LittleEndian32(&bytes[masks + 4 * c]);
    int byte = 0;
    while (byte < 4 && mask != 0xFFu << 8 * byte) ++byte;
    if (byte == 4) return false;
    offsets[c] = byte;
  }
  return true;
}

absl::StatusOr<Image> DecodeBmp(std::string_view bytes, const ImageInfo&, int) {
  ATTUNE_ASSIGN_OR_RETURN(const BmpHeader header, ReadBmpHeader(bytes));
  const size_t line_bytes = (size_t{header.bits} * header.width + 31) / 32 * 4;
  if (header.pixels_at > bytes.size() || line_bytes * header.height > bytes.size() - header.pixels_at) return Truncated(kBmpCodec);
  int offsets[3] = {2, 1, 0};
  if (!ColorBytes(bytes, header, offsets)) return Damaged(kBmpCodec, "its colour masks are no whole bytes");
  const std::vector<uint8_t> palette = header.bits <= 8 ? Palette(bytes, header) : std::vector<uint8_t>();
  Image image(header.width, header.height);
  for (int y = 0; y < header.height; ++y) {
    const char* line = &bytes[header.pixels_at + line_bytes * y];
    uint8_t* out = image.row(header.top_down ? y : header.height - 1 - y);
    if (header.bits <= 8) {
      ReadIndexed(line, header.width, header.bits, palette, out);
      continue;
    }
    const size_t step = header.bits / 8;
    for (int x = 0; x < header.width; ++x) {
      for (int c = 0; c < 3; ++c) out[3 * x + c] = static_cast<uint8_t>(line[step * x + offsets[c]]);
    }
  }
  return image;
}

}  // namespace

const Codec kBmpCodec = {ImageFormat::kBmp, "BMP", &IsBmp, &ReadBmpInfo, &DecodeBmp};

}  // namespace attune::images
