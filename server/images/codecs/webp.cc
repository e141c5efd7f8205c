// WebP by libwebp: lossy, lossless, with alpha. Animations are refused: which frame is meant, nobody can say.
#include <cstring>

#include <webp/decode.h>

#include "server/base/str_cat.h"
#include "server/images/codecs/bytes.h"
#include "server/images/codecs/codec.h"
#include "server/images/codecs/exif.h"

namespace attune::images {
namespace {

const uint8_t* Unsigned(std::string_view bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

bool IsWebp(std::string_view bytes) { return bytes.substr(0, 4) == "RIFF" && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"; }

absl::Status WebpFault(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return Truncated(kWebpCodec);
    case VP8_STATUS_OUT_OF_MEMORY: return absl::ResourceExhaustedError("no memory to decode a WebP file");
    case VP8_STATUS_UNSUPPORTED_FEATURE: return Damaged(kWebpCodec, "it uses a feature that libwebp does not know");
    default: return Damaged(kWebpCodec, "its data makes no sense");
  }
}

int WebpOrientation(std::string_view bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t length = LittleEndian32(&bytes[at + 4]);
    if (length > bytes.size() - at - 8) return 1;
    if (bytes.substr(at, 4) == "EXIF") return ExifOrientation(bytes.substr(at + 8, length));
    at += 8 + length + length % 2;
  }
  return 1;
}

absl::StatusOr<ImageInfo> ReadWebpInfo(std::string_view bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode code = WebPGetFeatures(Unsigned(bytes), bytes.size(), &features);
  if (code != VP8_STATUS_OK) return WebpFault(code);
  if (features.has_animation) return absl::InvalidArgumentError("the WebP file is an animation; save the frame that you mean as a still image");
  ImageInfo info;
  info.width = features.width;
  info.height = features.height;
  info.channels = features.has_alpha ? 4 : 3;
  info.orientation = WebpOrientation(bytes);
  return info;
}

absl::StatusOr<Image> DecodeWebp(std::string_view bytes, const ImageInfo& info, int) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return absl::InternalError("libwebp is of another version than its headers");
  Image image(info.width, info.height);
  config.output.colorspace = MODE_RGB;  // drops alpha
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {image.pixels.data(), static_cast<int>(image.row_bytes()), image.pixels.size()};
  const VP8StatusCode code = WebPDecode(Unsigned(bytes), bytes.size(), &config);
  if (code != VP8_STATUS_OK) return WebpFault(code);
  return image;
}

}  // namespace

const Codec kWebpCodec = {ImageFormat::kWebp, "WebP", &IsWebp, &ReadWebpInfo, &DecodeWebp};

}  // namespace attune::images
