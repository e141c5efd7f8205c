// The orientation of a photograph: read from EXIF, and applied. Pure, thread-safe.
//
//   Image upright = Oriented(std::move(image), ExifOrientation(tiff));
#pragma once

#include <string_view>

#include "server/images/image.h"

namespace attune::images {

// `tiff` is an EXIF block from its byte order mark ("II" or "MM") on; a leading "Exif\0\0" is passed over. 1 (as stored) where it says nothing or makes no sense.
int ExifOrientation(std::string_view tiff);

// Orientation 1..8 as EXIF numbers them: 5..8 swap width and height.
Image Oriented(Image image, int orientation);

}  // namespace attune::images
