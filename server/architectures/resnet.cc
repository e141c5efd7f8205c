#include "server/architectures/resnet.h"

#include <algorithm>

#include "absl/status/status.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/architectures/layout_builder.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int64_t kMaxBlocks = 256, kMaxGroups = 1024, kMaxWidth = 1024;

struct Variant {
  const char* name;
  bool bottleneck;
  std::array<int64_t, 4> layers;
  int64_t groups, width_per_group;
  int resize_size;
};

constexpr Variant kVariants[] = {
    {"resnet18", false, {2, 2, 2, 2}, 1, 64, 256},         {"resnet34", false, {3, 4, 6, 3}, 1, 64, 256},
    {"resnet50", true, {3, 4, 6, 3}, 1, 64, 256},          {"resnet101", true, {3, 4, 23, 3}, 1, 64, 256},
    {"resnet152", true, {3, 8, 36, 3}, 1, 64, 256},        {"resnext50_32x4d", true, {3, 4, 6, 3}, 32, 4, 256},
    {"resnext101_32x8d", true, {3, 4, 23, 3}, 32, 8, 256}, {"resnext101_64x4d", true, {3, 4, 23, 3}, 64, 4, 232},
    {"wide_resnet50_2", true, {3, 4, 6, 3}, 1, 128, 256},  {"wide_resnet101_2", true, {3, 4, 23, 3}, 1, 128, 256},
};

const Variant& Find(const std::string& name) {
  return *std::find_if(std::begin(kVariants), std::end(kVariants), [&](const Variant& variant) { return name == variant.name; });
}

// One block; `in` channels come in.
void AddBlock(LayoutBuilder& builder, const ResNetConfig& c, const std::string& name, int layer, int64_t in, bool first) {
  const int64_t out = c.channels(layer), width = c.width(layer);
  if (c.bottleneck) {
    builder.Conv(name + ".conv1", width, in, 1, 1, false);
    builder.BatchNorm(name + ".bn1", width);
    builder.Conv(name + ".conv2", width, width / c.groups, 3, 3, false);
    builder.BatchNorm(name + ".bn2", width);
    builder.Conv(name + ".conv3", out, width, 1, 1, false);
    builder.BatchNorm(name + ".bn3", out);
  } else {
    builder.Conv(name + ".conv1", out, in, 3, 3, false);
    builder.BatchNorm(name + ".bn1", out);
    builder.Conv(name + ".conv2", out, out, 3, 3, false);
    builder.BatchNorm(name + ".bn2", out);
  }
  if (first && (layer > 0 || in != out)) {
    builder.Conv(name + ".downsample.0", out, in, 1, 1, false);
    builder.BatchNorm(name + ".downsample.1", out);
  }
}

std::vector<Architecture> ResNets() {
  std::vector<Architecture> family;
  for (const std::string& name : ResNetNames()) {
    family.push_back({.name = name, .modality = Modality::kImage, .head_name = "fc", .describe = [name](const nlohmann::json& config) -> absl::StatusOr<ModelLayout> {
                        ATTUNE_ASSIGN_OR_RETURN(const ResNetConfig parsed, ParseResNet(name, config));
                        return ResNetLayout(parsed);
                      }});
  }
  return family;
}

ATTUNE_REGISTER_ARCHITECTURE(ResNets());

}  // namespace

int64_t ResNetConfig::width(int layer) const {
  const int64_t planes = int64_t{64} << layer;
  return bottleneck ? planes * width_per_group / 64 * groups : planes;
}

std::vector<std::string> ResNetNames() {
  std::vector<std::string> names;
  for (const Variant& variant : kVariants) names.push_back(variant.name);
  return names;
}

absl::StatusOr<ResNetConfig> ParseResNet(const std::string& name, const nlohmann::json& config) {
  const Variant& variant = Find(name);
  ResNetConfig c;
  c.bottleneck = variant.bottleneck;
  const std::vector<int64_t> layers(variant.layers.begin(), variant.layers.end());
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<int64_t> read, ConfigIntegers(config, "layers", layers, 1, kMaxBlocks));
  std::copy(read.begin(), read.end(), c.layers.begin());
  // As in torchvision, blocks of two convolutions have neither groups nor another width.
  ATTUNE_ASSIGN_OR_RETURN(c.groups, ConfigInteger(config, "groups", variant.groups, 1, c.bottleneck ? kMaxGroups : 1));
  ATTUNE_ASSIGN_OR_RETURN(c.width_per_group, ConfigInteger(config, "width_per_group", variant.width_per_group, c.bottleneck ? 1 : 64, c.bottleneck ? kMaxWidth : 64));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kPositionsAlone));
  ATTUNE_ASSIGN_OR_RETURN(c.image, ReadImageInput(config, {.image_size = 224, .resize_size = variant.resize_size}));
  return c;
}

absl::StatusOr<ModelLayout> ResNetLayout(const ResNetConfig& c) {
  LayoutBuilder builder;
  builder.BeginGroup("stem");
  builder.Conv("conv1", 64, 3, 7, 7, false);
  builder.BatchNorm("bn1", 64);
  int64_t in = 64;
  for (int layer = 0; layer < 4; ++layer) {
    const std::string name = StrCat("layer", layer + 1);
    builder.BeginGroup(name);
    for (int64_t block = 0; block < c.layers[layer]; ++block) {
      AddBlock(builder, c, StrCat(name, ".", block), layer, in, block == 0);
      in = c.channels(layer);
    }
  }
  ModelLayout layout = builder.Take();
  ATTUNE_RETURN_IF_ERROR(CheckParameterCount(layout, "layers, groups and width_per_group"));
  layout.image = c.image;
  return layout;
}

}  // namespace attune::architectures
