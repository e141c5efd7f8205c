// What config.json says of an image model's input: image_size, resize_size, interpolation, image_mean, image_std. Torch-free; pure; thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(layout.image, ReadImageInput(config, {.image_size = 299, .resize_size = 342}));
#pragma once

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"

namespace attune::architectures {

// Keys that are absent are those of `defaults`; but a resize_size that is absent keeps the defaults' ratio to the image_size that is given, so that the central crop
// shows the same part of an image. image_size is at least defaults.min_image_size and 32, at most 1024; resize_size at least image_size, at most 2048. `interpolation`
// is "bilinear" or "bicubic"; image_mean is three numbers within -10..10, image_std three over 0 and at most 10. INVALID_ARGUMENT names key and value.
absl::StatusOr<ImageInput> ReadImageInput(const nlohmann::json& config, const ImageInput& defaults);

}  // namespace attune::architectures
