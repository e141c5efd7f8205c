// What an image file says of itself, from its headers alone: nothing is decoded and nothing large is allocated. The format is found by the first bytes, never by a name.
// Pure, thread-safe.
//
//   absl::StatusOr<ImageInfo> info = ReadImageInfo(bytes);
//   if (info.ok()) LOG << ImageFormatName(info->format) << info->width << info->height;
#pragma once

#include <string_view>

#include "absl/status/statusor.h"

namespace attune::images {

enum class ImageFormat { kJpeg, kPng, kWebp, kBmp, kPnm };

struct ImageInfo {
  ImageFormat format = ImageFormat::kJpeg;
  int width = 0, height = 0;  // as the image is looked at: after the EXIF orientation
  int channels = 0;           // as stored, alpha included; a palette counts 3
  int orientation = 1;        // EXIF's, 1..8; 1: as stored
};

// Sides over this are refused in every format: it is JPEG's own limit.
inline constexpr int kMaxSide = 65535;

// "JPEG", "PNG", "WebP", "BMP", "PGM/PPM".
const char* ImageFormatName(ImageFormat format);

// INVALID_ARGUMENT: no bytes, an unknown format (the message names the known ones), a damaged header, a kind of the format that is not read, a side over kMaxSide.
absl::StatusOr<ImageInfo> ReadImageInfo(std::string_view bytes);

}  // namespace attune::images
