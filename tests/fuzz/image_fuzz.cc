// Image files: JPEG, PNG, WebP, BMP, PGM and PPM, as they come in archives, in predictions and as previews.
#include "server/images/decode.h"
#include "server/images/image_info.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

constexpr int64_t kMaxPixels = 1 << 14;  // so that an execution takes microseconds

void DecodeImage(std::string_view bytes) {
  const auto info = images::ReadImageInfo(bytes);
  if (!info.ok()) RequireRefusal(info.status());
  for (const int shorter_side : {0, 5}) {
    const auto image = images::Decode(bytes, {.shorter_side = shorter_side, .max_pixels = kMaxPixels});
    if (!image.ok()) return RequireRefusal(image.status());
    Require(info.ok(), "what can be decoded has a header that can be read");
    Require(
        image->width > 0 && image->height > 0 &&
            image->pixels.size() == size_t{3} * static_cast<size_t>(image->width) * static_cast<size_t>(image->height),
        "an image has the pixels of its size");
    if (shorter_side == 0)
      Require(image->width == info->width && image->height == info->height,
              "an image has the size that its header says");
    if (info->format != images::ImageFormat::kJpeg) return;
  }
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::DecodeImage(attune::fuzz::Input(data, size));
  return 0;
}
