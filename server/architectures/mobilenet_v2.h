// MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) as torchvision builds it: what config.json says of one, shared with
// server/training/models/mobilenet_v2.cc. Torch-free; pure; thread-safe.
//
//   absl::StatusOr<MobileNetV2Config> config = ParseMobileNetV2(json);
#pragma once

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/inverted_residual.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct MobileNetV2Config {
  MobileTrunk trunk;
  double dropout = 0.2;
  Pooling pooling = Pooling::kOwn;
  ImageInput image;
};

// INVALID_ARGUMENT naming the key. Keys: `width_mult`, `round_nearest`, `inverted_residual_setting` (rows of expansion, channels, blocks, stride), `dropout`, and those of image_config.h.
absl::StatusOr<MobileNetV2Config> ParseMobileNetV2(const nlohmann::json& config);
absl::StatusOr<ModelLayout> MobileNetV2Layout(const MobileNetV2Config& config);

}  // namespace attune::architectures
