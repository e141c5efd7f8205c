// Whether an uploaded file is an image that can be learnt from: its header is read, and it is decoded once, so that a
// file that is cut short is found when it is imported and not in an epoch. Pure; thread-safe.
//
//   const ImageVerdict verdict = CheckImage(bytes, {});
//   if (verdict.fault) issues.Add(*verdict.fault, ...);
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "server/datasets/formats/row.h"

namespace attune::datasets {

struct ImageLimits {
  int64_t max_image_bytes = int64_t{64} << 20;
  int64_t max_pixels = int64_t{64} << 20;  // by the header; what server/images decodes by itself
  int min_side_pixels = 8;
  int check_threads = 4;  // at most; never more than the machine has cores
};

struct ImageFacts {
  int32_t width = 0;  // as the image is looked at
  int32_t height = 0;
  const char* format = "";  // "jpeg", "png", "webp", "bmp", "pnm"
};

struct ImageVerdict {
  ImageFacts facts;               // of what has a readable header
  std::optional<RowFault> fault;  // KIND_UNREADABLE_IMAGE, KIND_IMAGE_TOO_LARGE, KIND_IMAGE_TOO_SMALL
};

ImageVerdict CheckImage(std::string_view bytes, const ImageLimits& limits);

RowFault ImageHasTooManyBytes(int64_t max_image_bytes);

}  // namespace attune::datasets
