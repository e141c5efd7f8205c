// From an image file's bytes to what a model sees. The one entry for training, evaluation and prediction, so that they cannot differ. Pure: the outcome depends on the
// arguments alone. Thread-safe. INVALID_ARGUMENT says what is wrong with the image and what to do.
//
//   std::vector<float> pixels(3 * 224 * 224);
//   absl::Status status = MakeView(bytes, view, /*augmentation=*/nullptr, /*random=*/nullptr, pixels.data());
#pragma once

#include <array>
#include <string_view>

#include "absl/status/status.h"
#include "server/base/counter_random.h"

namespace attune::images {

// The deterministic part, as torchvision's ImageClassification preset: resize the shorter side with antialias, crop the centre, scale to 0..1, normalise.
struct ViewSpec {
  int image_size = 224;   // side of the square that comes out
  int resize_size = 256;  // the shorter side before the crop, at least image_size
  bool bicubic = false;   // otherwise bilinear
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};
  std::array<float, 3> standard_deviation = {0.229f, 0.224f, 0.225f};
};

// The random part; everything off by default. In torchvision's usual order: random resized crop (in place of resize and central crop), flip, RandAugment, colour jitter.
struct Augmentation {
  double crop_scale_min = 1;   // of the area; 1: resize and central crop as without augmentation
  double horizontal_flip = 0;  // probability
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  int rand_augment_operations = 0;  // 0: none
  int rand_augment_magnitude = 9;   // of 30
};

// A view for averaging predictions: fixed ones, the same for every image of a size. 0: the plain view; 1: its mirror image; from 2 on crops of at least half the area, the
// odd ones mirrored.
absl::Status MakeTestView(std::string_view bytes, const ViewSpec& view, int number, float* out);

// Writes [3, image_size, image_size] floats to `out`. `augmentation` null: the plain view, and `random` is not used.
absl::Status MakeView(std::string_view bytes, const ViewSpec& view, const Augmentation* augmentation, CounterRandom* random, float* out);

}  // namespace attune::images
