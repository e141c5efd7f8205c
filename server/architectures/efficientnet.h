// EfficientNet B0 to B7 (Tan and Le 2019, https://arxiv.org/abs/1905.11946) as torchvision builds it: what config.json says of one, shared with
// server/training/models/efficientnet.cc. Torch-free; pure; thread-safe.
//
//   absl::StatusOr<EfficientNetConfig> config = ParseEfficientNet("efficientnet_b0", json);
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/inverted_residual.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct EfficientNetConfig {
  MobileTrunk trunk;
  double dropout = 0.2;
  double stochastic_depth = 0.2;  // of the last block; rises from 0 at the first
  double norm_epsilon = 1e-5;
  double norm_momentum = 0.1;
  Pooling pooling = Pooling::kOwn;
  ImageInput image;
};

// torchvision's builders.
std::vector<std::string> EfficientNetNames();

// INVALID_ARGUMENT naming the key. `name` is one of EfficientNetNames(). Keys: `width_mult`, `depth_mult`, `dropout`, `stochastic_depth_prob`, and those of image_config.h.
absl::StatusOr<EfficientNetConfig> ParseEfficientNet(const std::string& name, const nlohmann::json& config);
absl::StatusOr<ModelLayout> EfficientNetLayout(const EfficientNetConfig& config);

}  // namespace attune::architectures
