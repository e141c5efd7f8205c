// PGM and PPM, binary (P5 and P6), of 8 or 16 bits; values are scaled from the file's maximum to 255.
#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/status_macros.h"
#include "server/images/codecs/bytes.h"
#include "server/images/codecs/codec.h"

namespace attune::images {
namespace {

struct PnmHeader {
  int width = 0, height = 0, maximum = 0;
  size_t pixels_at = 0;
};

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }

bool IsPnm(std::string_view bytes) { return bytes.size() > 2 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') && (IsSpace(bytes[2]) || bytes[2] == '#'); }

// The next number of the header, past spaces and comments; -1 where there is none.
int NextNumber(std::string_view bytes, size_t& at) {
  while (at < bytes.size() && (IsSpace(bytes[at]) || bytes[at] == '#')) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n') ++at;
    } else {
      ++at;
    }
  }
  int64_t number = -1;
  for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at) {
    number = std::max<int64_t>(number, 0) * 10 + (bytes[at] - '0');
    if (number > std::numeric_limits<int>::max()) return -1;
  }
  return static_cast<int>(number);
}

absl::StatusOr<PnmHeader> ReadPnmHeader(std::string_view bytes) {
  PnmHeader header;
  size_t at = 2;
  for (int* field : {&header.width, &header.height, &header.maximum}) {
    *field = NextNumber(bytes, at);
    if (at >= bytes.size()) return Truncated(kPnmCodec);
    if (*field < 0) return Damaged(kPnmCodec, "its header is not width, height and maximum");
  }
  if (header.maximum < 1 || header.maximum > 65535) return Damaged(kPnmCodec, "its maximum is not within 1 and 65535");
  if (!IsSpace(bytes[at])) return Damaged(kPnmCodec, "its header does not end with a space");
  header.pixels_at = at + 1;
  return header;
}

absl::StatusOr<ImageInfo> ReadPnmInfo(std::string_view bytes) {
  ATTUNE_ASSIGN_OR_RETURN(const PnmHeader header, ReadPnmHeader(bytes));
  ImageInfo info;
  info.width = header.width;
  info.height = header.height;
  info.channels = bytes[1] == '6' ? 3 : 1;
  return info;
}

absl::StatusOr<Image> DecodePnm(std::string_view bytes, const ImageInfo& info, int) {
  ATTUNE_ASSIGN_OR_RETURN(const PnmHeader header, ReadPnmHeader(bytes));
  const size_t sample_bytes = header.maximum > 255 ? 2 : 1;
  const size_t samples = size_t{1} * header.width * header.height * info.channels;
  if (samples * sample_bytes > bytes.size() - header.pixels_at) return Truncated(kPnmCodec);
  std::vector<uint8_t> scaled(header.maximum + 1);
  for (int v = 0; v <= header.maximum; ++v) scaled[v] = static_cast<uint8_t>(std::nearbyint(static_cast<double>(v) / header.maximum * 255));
  Image image(header.width, header.height);
  const char* from = &bytes[0] + header.pixels_at;
  const size_t copies = info.channels == 1 ? 3 : 1;
  uint8_t* out = image.pixels.data();
  for (size_t i = 0; i < samples; ++i, from += sample_bytes, out += copies) {
    const uint32_t value = sample_bytes == 1 ? ByteAt(from) : BigEndian16(from);
    std::fill_n(out, copies, scaled[std::min<uint32_t>(value, header.maximum)]);
  }
  return image;
}

}  // namespace

const Codec kPnmCodec = {ImageFormat::kPnm, "PGM/PPM", &IsPnm, &ReadPnmInfo, &DecodePnm};

}  // namespace attune::images
