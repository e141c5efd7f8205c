#include "server/datasets/images/image_check.h"

#include <algorithm>
#include <string>

#include "server/base/str_cat.h"
#include "server/images/decode.h"
#include "server/images/image_info.h"

namespace attune::datasets {
namespace {

// Every byte of a file is read whatever size comes out; a small one costs least.
constexpr int kCheckedSide = 32;

const char* NameOf(images::ImageFormat format) {
  switch (format) {
    case images::ImageFormat::kJpeg:
      return "jpeg";
    case images::ImageFormat::kPng:
      return "png";
    case images::ImageFormat::kWebp:
      return "webp";
    case images::ImageFormat::kBmp:
      return "bmp";
    case images::ImageFormat::kPnm:
      return "pnm";
  }
  return "";
}

RowFault Unreadable(const absl::Status& status) {
  return {v1::RowIssue::KIND_UNREADABLE_IMAGE, "", std::string(status.message())};
}

}  // namespace

ImageVerdict CheckImage(std::string_view bytes, const ImageLimits& limits) {
  ImageVerdict verdict;
  const absl::StatusOr<images::ImageInfo> info = images::ReadImageInfo(bytes);
  if (!info.ok()) {
    verdict.fault = Unreadable(info.status());
    return verdict;
  }
  verdict.facts = {info->width, info->height, NameOf(info->format)};
  const std::string size = StrCat("the image has ", info->width, " x ", info->height, " pixels");
  if (int64_t{info->width} * info->height > limits.max_pixels) {
    verdict.fault = RowFault{
        v1::RowIssue::KIND_IMAGE_TOO_LARGE, "",
        StrCat(size, ", and ", limits.max_pixels, " in all are the most that this server accepts: make it smaller")};
  } else if (std::min(info->width, info->height) < limits.min_side_pixels) {
    verdict.fault = RowFault{
        v1::RowIssue::KIND_IMAGE_TOO_SMALL, "",
        StrCat(size, ", and each side needs ", limits.min_side_pixels, ": leave it out, or use a larger original")};
  } else if (const auto image = images::Decode(bytes, {.shorter_side = kCheckedSide, .max_pixels = limits.max_pixels});
             !image.ok()) {
    verdict.fault = Unreadable(image.status());
  }
  return verdict;
}

RowFault ImageHasTooManyBytes(int64_t max_image_bytes) {
  return {v1::RowIssue::KIND_IMAGE_TOO_LARGE, "",
          StrCat("the file has more than ", max_image_bytes,
                 " bytes, the most that this server accepts for an image: make it smaller")};
}

}  // namespace attune::datasets
