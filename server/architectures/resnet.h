// ResNet (He et al. 2015, https://arxiv.org/abs/1512.03385), ResNeXt (Xie et al. 2016) and Wide ResNet (Zagoruyko and Komodakis 2016) as torchvision builds them: what config.json
// says of one, shared with server/training/models/resnet.cc. Torch-free; pure; thread-safe.
//
//   absl::StatusOr<ResNetConfig> config = ParseResNet("resnet50", json);
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct ResNetConfig {
  bool bottleneck = false;              // three convolutions a block rather than two
  std::array<int64_t, 4> layers = {};   // blocks of layer1..layer4
  int64_t groups = 1;                   // of the 3 x 3 convolutions; bottleneck alone
  int64_t width_per_group = 64;
  Pooling pooling = Pooling::kOwn;
  ImageInput image;

  int64_t channels(int layer) const { return (int64_t{64} << layer) * expansion(); }  // that layer1 + `layer` gives
  int64_t width(int layer) const;                                                     // of its 3 x 3 convolutions
  int64_t expansion() const { return bottleneck ? 4 : 1; }
};

// torchvision's builders.
std::vector<std::string> ResNetNames();

// INVALID_ARGUMENT naming the key. `name` is one of ResNetNames(). Keys: `layers` (4 whole numbers), `groups`, `width_per_group`, and those of image_config.h.
absl::StatusOr<ResNetConfig> ParseResNet(const std::string& name, const nlohmann::json& config);
absl::StatusOr<ModelLayout> ResNetLayout(const ResNetConfig& config);

}  // namespace attune::architectures
