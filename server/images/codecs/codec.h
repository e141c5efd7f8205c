// Codec: one image format. The table of them is in codec.cc, each is in a file of its own. Thread-safe, pure.
//
//   ATTUNE_ASSIGN_OR_RETURN(const Codec* codec, FindCodec(bytes));
//   ATTUNE_ASSIGN_OR_RETURN(ImageInfo stored, ReadStoredInfo(*codec, bytes));
//   ATTUNE_ASSIGN_OR_RETURN(Image image, codec->decode(bytes, stored, /*shorter_side=*/0));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/images/image.h"
#include "server/images/image_info.h"

namespace attune::images {

struct Codec {
  ImageFormat format;
  const char* name;
  // By the first bytes.
  bool (*matches)(std::string_view bytes);
  // From the headers; width and height as stored, before the orientation, and not yet checked against kMaxSide. INVALID_ARGUMENT.
  absl::StatusOr<ImageInfo> (*read_info)(std::string_view bytes);
  // The pixels as stored, before the orientation. `info` is what read_info returned and found to be within the limits. `shorter_side`: see DecodeOptions. INVALID_ARGUMENT.
  absl::StatusOr<Image> (*decode)(std::string_view bytes, const ImageInfo& info, int shorter_side);
};

extern const Codec kJpegCodec, kPngCodec, kWebpCodec, kBmpCodec, kPnmCodec;

const Codec& CodecOf(ImageFormat format);

// INVALID_ARGUMENT that names the known formats.
absl::StatusOr<const Codec*> FindCodec(std::string_view bytes);

// codec.read_info, with sides of 0 and over kMaxSide refused.
absl::StatusOr<ImageInfo> ReadStoredInfo(const Codec& codec, std::string_view bytes);

// "the PNG file is damaged: WHAT".
absl::Status Damaged(const Codec& codec, std::string_view what);
absl::Status Truncated(const Codec& codec);

}  // namespace attune::images
