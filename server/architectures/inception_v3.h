// Inception v3 (Szegedy et al. 2015, https://arxiv.org/abs/1512.00567) as torchvision builds it: what config.json says of one, and its convolutions, shared with
// server/training/models/inception_v3.cc. Torch-free; pure; thread-safe.
//
//   absl::StatusOr<InceptionV3Config> config = ParseInceptionV3(json);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct InceptionV3Config {
  bool aux_logits = true;               // whether there is an auxiliary classifier, with a group "aux" of its own
  bool transform_input = true;          // maps ImageNet's normalisation to that of the original, 0.5 and 0.5: torchvision does so with its pretrained weights
  bool pool_count_include_pad = true;   // whether the average pools of branches count the padding, as torchvision's do
  double batch_norm_eps = 1e-3;
  double dropout = 0.5;
  Pooling pooling = Pooling::kOwn;
  ImageInput image;
};

// A convolution without bias, ".conv", and its BatchNorm, ".bn".
struct InceptionConvolution {
  std::string name;   // "Mixed_5b.branch1x1"
  std::string group;  // "stem", "mixed5", "mixed6", "aux", "mixed7"
  int64_t out = 0, in = 0;
  int64_t kernel_height = 1, kernel_width = 1;
  int64_t stride = 1;
  int64_t padding_height = 0, padding_width = 0;
};

// INVALID_ARGUMENT naming the key. Keys: `aux_logits`, `transform_input`, `pool_count_include_pad`, `batch_norm_eps`, `dropout`, and those of image_config.h.
absl::StatusOr<InceptionV3Config> ParseInceptionV3(const nlohmann::json& config);
std::vector<InceptionConvolution> InceptionConvolutions(bool aux_logits);  // in model order
ModelLayout InceptionV3Layout(const InceptionV3Config& config);

}  // namespace attune::architectures
