#include "server/images/codecs/codec.h"

#include "absl/strings/escaping.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::images {
namespace {

constexpr const Codec* kCodecs[] = {&kJpegCodec, &kPngCodec, &kWebpCodec, &kBmpCodec, &kPnmCodec};

}  // namespace

const Codec& CodecOf(ImageFormat format) {
  for (const Codec* codec : kCodecs) {
    if (codec->format == format) return *codec;
  }
  return kJpegCodec;
}

absl::StatusOr<const Codec*> FindCodec(std::string_view bytes) {
  for (const Codec* codec : kCodecs) {
    if (codec->matches(bytes)) return codec;
  }
  if (bytes.empty()) return absl::InvalidArgumentError("the image is empty: 0 bytes");
  return absl::InvalidArgumentError(StrCat("not an image that can be read: it begins with \"", absl::CHexEscape(AbslView(bytes.substr(0, 8))),
                                           "\"; known formats are JPEG, PNG, WebP, BMP, and binary PGM and PPM"));
}

absl::StatusOr<ImageInfo> ReadStoredInfo(const Codec& codec, std::string_view bytes) {
  ATTUNE_ASSIGN_OR_RETURN(ImageInfo info, codec.read_info(bytes));
  if (info.width <= 0 || info.height <= 0) return Damaged(codec, StrCat("it claims ", info.width, " x ", info.height, " pixels"));
  if (info.width > kMaxSide || info.height > kMaxSide) {
    return absl::InvalidArgumentError(StrCat("the image has ", info.width, " x ", info.height, " pixels; a side may have up to ", kMaxSide));
  }
  info.format = codec.format;
  return info;
}

absl::Status Damaged(const Codec& codec, std::string_view what) {
  return absl::InvalidArgumentError(StrCat("the ", codec.name, " file is damaged or not of a kind that is read: ", what, "; save it anew"));
}

absl::Status Truncated(const Codec& codec) {
  return absl::InvalidArgumentError(StrCat("the ", codec.name, " file is cut short: its end is missing; was it copied in full?"));
}

}  // namespace attune::images
