#include "server/images/view.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/images/augment/color_jitter.h"
#include "server/images/augment/geometry.h"
#include "server/images/augment/rand_augment.h"
#include "server/images/augment/random_crop.h"
#include "server/images/decode.h"
#include "server/images/image_info.h"
#include "server/images/resize.h"

namespace attune::images {
namespace {

// A JPEG is decoded at a fraction of its size only while this many of its pixels remain for one of the view: the resize then still has what it averages over.
constexpr int kPixelsLeft = 2;
constexpr int kMaxViewSide = 4096;
constexpr uint64_t kTestViewSeed = 0x54455354'56494557ull;
constexpr double kTestCropScale = 0.5;

absl::Status CheckView(const ViewSpec& view) {
  if (view.image_size < 1 || view.image_size > kMaxViewSide) {
    return absl::InvalidArgumentError(StrCat("image_size is ", view.image_size, ": use 1 to ", kMaxViewSide));
  }
  if (view.resize_size < view.image_size || view.resize_size > kMaxViewSide) {
    return absl::InvalidArgumentError(StrCat("resize_size is ", view.resize_size, ": use image_size (", view.image_size, ") to ", kMaxViewSide));
  }
  for (float deviation : view.standard_deviation) {
    if (!(deviation > 0)) return absl::InvalidArgumentError(StrCat("standard_deviation has ", deviation, ": use values over 0"));
  }
  return absl::OkStatus();
}

absl::Status CheckAugmentation(const Augmentation& augmentation) {
  if (!(augmentation.crop_scale_min > 0 && augmentation.crop_scale_min <= 1)) {
    return absl::InvalidArgumentError(StrCat("crop_scale_min is ", augmentation.crop_scale_min, ": use a share of the area over 0 and up to 1 (off)"));
  }
  if (!(augmentation.horizontal_flip >= 0 && augmentation.horizontal_flip <= 1)) {
    return absl::InvalidArgumentError(StrCat("horizontal_flip is ", augmentation.horizontal_flip, ": use a probability, 0 (off) to 1"));
  }
  if (!(augmentation.hue >= 0 && augmentation.hue <= 0.5)) return absl::InvalidArgumentError(StrCat("hue is ", augmentation.hue, ": use 0 (off) to 0.5"));
  const struct {
    const char* name;
    double range;
  } factors[] = {{"brightness", augmentation.brightness}, {"contrast", augmentation.contrast}, {"saturation", augmentation.saturation}};
  for (const auto& factor : factors) {
    if (!(factor.range >= 0 && std::isfinite(factor.range))) return absl::InvalidArgumentError(StrCat(factor.name, " is ", factor.range, ": use 0 (off) or more"));
  }
  if (augmentation.rand_augment_operations < 0) {
    return absl::InvalidArgumentError(StrCat("rand_augment_operations is ", augmentation.rand_augment_operations, ": use 0 (off) or more"));
  }
  if (augmentation.rand_augment_magnitude < 0 || augmentation.rand_augment_magnitude >= kRandAugmentMagnitudes) {
    return absl::InvalidArgumentError(StrCat("rand_augment_magnitude is ", augmentation.rand_augment_magnitude, ": use 0 to ", kRandAugmentMagnitudes - 1));
  }
  return absl::OkStatus();
}

ResizeFilter FilterOf(const ViewSpec& view) { return view.bicubic ? ResizeFilter::kBicubic : ResizeFilter::kBilinear; }

// 1, 1/2, 1/4 or 1/8: a side that the fraction does not divide ends within the last pixel.
double DecodedScale(const ImageInfo& info, const Image& image) {
  for (int divisor : {1, 2, 4}) {
    if ((info.width + divisor - 1) / divisor == image.width && (info.height + divisor - 1) / divisor == image.height) return 1.0 / divisor;
  }
  return 1.0 / 8;
}

// Resize of the shorter side and central crop, in one. The sides are rounded as torchvision rounds them, from the sizes that the file states.
absl::StatusOr<Image> CentralView(std::string_view bytes, const ImageInfo& info, const ViewSpec& view) {
  ATTUNE_ASSIGN_OR_RETURN(const Image image, Decode(bytes, {.shorter_side = kPixelsLeft * view.resize_size}));
  const int shorter = std::min(info.width, info.height), longer = std::max(info.width, info.height);
  const int resized_longer = static_cast<int>(static_cast<double>(int64_t{view.resize_size} * longer) / shorter);
  const bool upright = info.width <= info.height;
  const int width = upright ? view.resize_size : resized_longer, height = upright ? resized_longer : view.resize_size;
  const auto offset = [&view](int side) { return static_cast<int>(std::nearbyint((side - view.image_size) / 2.0)); };
  const Box window = {offset(width), offset(height), view.image_size, view.image_size};
  const double scale = DecodedScale(info, image);
  return ResizeRegion(image, {0, 0, info.width * scale, info.height * scale}, width, height, window, FilterOf(view));
}

absl::StatusOr<Image> RandomView(std::string_view bytes, const ImageInfo& info, const ViewSpec& view, double scale_min, CounterRandom& random) {
  const Box box = DrawRandomCrop(info.width, info.height, scale_min, random);
  const double shorter = std::min(info.width, info.height);
  const int needed = static_cast<int>(std::ceil(kPixelsLeft * view.image_size * shorter / std::min(box.width, box.height)));
  ATTUNE_ASSIGN_OR_RETURN(const Image image, Decode(bytes, {.shorter_side = needed}));
  const double scale = DecodedScale(info, image);
  const Region region = {box.x * scale, box.y * scale, box.width * scale, box.height * scale};
  return ResizeRegion(image, region, view.image_size, view.image_size, {0, 0, view.image_size, view.image_size}, FilterOf(view));
}

void Augment(const Augmentation& augmentation, Image& image, CounterRandom& random) {
  if (augmentation.horizontal_flip > 0 && random.Uniform() < augmentation.horizontal_flip) FlipHorizontally(image);
  RandAugment(augmentation.rand_augment_operations, augmentation.rand_augment_magnitude, image, random);
  const ColorJitterRange range = {augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue};
  if (range.brightness > 0 || range.contrast > 0 || range.saturation > 0 || range.hue > 0) ApplyColorJitter(DrawColorJitter(range, random), image);
}

// [height, width, 3] bytes to [3, height, width] floats. A channel has 256 values: a table gives the two divisions of the reference exactly and once.
void Normalise(const Image& image, const ViewSpec& view, float* out) {
  const size_t pixels = static_cast<size_t>(image.width) * image.height;
  for (size_t c = 0; c < 3; ++c) {
    std::array<float, 256> table;
    for (int v = 0; v < 256; ++v) table[v] = (static_cast<float>(v) / 255.0f - view.mean[c]) / view.standard_deviation[c];
    const uint8_t* __restrict from = image.pixels.data() + c;
    float* __restrict to = out + c * pixels;
    for (size_t i = 0; i < pixels; ++i) to[i] = table[from[3 * i]];
  }
}

}  // namespace

absl::Status MakeView(std::string_view bytes, const ViewSpec& view, const Augmentation* augmentation, CounterRandom* random, float* out) {
  ATTUNE_RETURN_IF_ERROR(CheckView(view));
  if (augmentation != nullptr) ATTUNE_RETURN_IF_ERROR(CheckAugmentation(*augmentation));
  ATTUNE_ASSIGN_OR_RETURN(const ImageInfo info, ReadImageInfo(bytes));
  const bool random_crop = augmentation != nullptr && augmentation->crop_scale_min < 1;
  ATTUNE_ASSIGN_OR_RETURN(Image image, random_crop ? RandomView(bytes, info, view, augmentation->crop_scale_min, *random) : CentralView(bytes, info, view));
  if (augmentation != nullptr) Augment(*augmentation, image, *random);
  Normalise(image, view, out);
  return absl::OkStatus();
}

absl::Status MakeTestView(std::string_view bytes, const ViewSpec& view, int number, float* out) {
  if (number < 1) return MakeView(bytes, view, nullptr, nullptr, out);
  Augmentation fixed;
  fixed.crop_scale_min = number == 1 ? 1 : kTestCropScale;
  fixed.horizontal_flip = number % 2;
  CounterRandom random(kTestViewSeed, static_cast<uint64_t>(number));
  return MakeView(bytes, view, &fixed, &random, out);
}

}  // namespace attune::images
