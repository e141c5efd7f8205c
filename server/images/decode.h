// Decode: an image file's bytes to RGB, as Pillow's exif_transpose and convert("RGB") give it: grey becomes three equal channels, alpha is dropped (not blended), palettes are
// looked up, CMYK is converted. Unlike there, 16-bit grey keeps its upper byte (Pillow cuts it off at 255). Thread-safe, pure.
//
//   ATTUNE_ASSIGN_OR_RETURN(Image image, Decode(bytes, {.shorter_side = 512}));
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/images/image.h"

namespace attune::images {

struct DecodeOptions {
  int shorter_side = 0;                        // JPEG is decoded at 1/2, 1/4 or 1/8 where the shorter side stays at least this; 0: always in full
  int64_t max_pixels = int64_t{64} << 20;  // width * height by the header; larger images are refused before memory is taken
};

// INVALID_ARGUMENT: what ReadImageInfo refuses, an image over max_pixels, damaged or truncated data. A JPEG that lacks its end marker alone is accepted, and so are the slips
// that libjpeg repairs (up to 100 in an image).
absl::StatusOr<Image> Decode(std::string_view bytes, const DecodeOptions& options);

}  // namespace attune::images
