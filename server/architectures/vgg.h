// VGG (Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556) as torchvision builds it, with and without BatchNorm: what config.json says of one, shared with
// server/training/models/vgg.cc. Torch-free; pure; thread-safe.
//
//   absl::StatusOr<VggConfig> config = ParseVgg("vgg16_bn", json);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct VggConfig {
  bool batch_norm = false;
  std::vector<std::vector<int64_t>> blocks;  // channels of each block's convolutions; a maximum pool ends each block
  int64_t classifier_width = 4096;
  double dropout = 0.5;
  Pooling pooling = Pooling::kOwn;
  ImageInput image;
};

inline constexpr int64_t kVggPooledSide = 7;  // of the map that the classifier takes

// torchvision's builders.
std::vector<std::string> VggNames();

// INVALID_ARGUMENT naming the key. `name` is one of VggNames(). Keys: `features` (as torchvision's cfgs: channels, and "M" at the end of each block), `classifier_width`,
// `dropout`, and those of image_config.h.
absl::StatusOr<VggConfig> ParseVgg(const std::string& name, const nlohmann::json& config);
// Groups block1, block2, ... and "classifier", which a checkpoint without its top lacks. A block's convolution i is "features.N" with N from VggModuleNumbers.
absl::StatusOr<ModelLayout> VggLayout(const VggConfig& config);
// The number of each convolution in torchvision's `features`, block by block; its BatchNorm has the next one.
std::vector<std::vector<int64_t>> VggModuleNumbers(const VggConfig& config);

}  // namespace attune::architectures
