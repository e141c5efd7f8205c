// Resizing with antialias, equal to Pillow's Image.resize (and so to torchvision's Resize on Pillow's images) to the bit: columns first, then rows. Pillow 13 takes the rows
// first where an image shrinks much more in height than in width, which moves some values by one or a few; no view that keeps proportions is among these. Pure,
// thread-safe.
//
//   Image small = Resize(image, 320, 256, ResizeFilter::kBilinear);
//   Image center = ResizeCrop(image, {0, 0, image.width, image.height}, 320, 256, {48, 16, 224, 224}, ResizeFilter::kBilinear);  // what Crop(small, ...) would be
#pragma once

#include "server/images/image.h"
#include "server/images/resize_taps.h"

namespace attune::images {

// `width` and `height` must be over 0.
Image Resize(const Image& image, int width, int height, ResizeFilter filter);

// Crops `source` out of the image, resizes that to width x height, and crops `window` out of the result; pixels that the window does not need are never computed, and none
// outside of `source` are looked at. Both boxes must lie within what they are cut from and have pixels.
Image ResizeCrop(const Image& image, const Box& source, int width, int height, const Box& window, ResizeFilter filter);

// A part of an image whose borders need not be whole pixels.
struct Region {
  double x = 0, y = 0, width = 0, height = 0;
};

// ResizeCrop of such a part. Pixels that it covers in part count in full where the filter reaches them. `region` must lie within the image and cover something.
Image ResizeRegion(const Image& image, const Region& region, int width, int height, const Box& window, ResizeFilter filter);

}  // namespace attune::images
