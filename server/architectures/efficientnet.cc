#include "server/architectures/efficientnet.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

struct Variant {
  const char* name;
  double width, depth, dropout, norm_epsilon, norm_momentum;
  int image_size, resize_size;
};
constexpr Variant kVariants[] = {
    {"efficientnet_b0", 1.0, 1.0, 0.2, 1e-5, 0.1, 224, 256},  {"efficientnet_b1", 1.0, 1.1, 0.2, 1e-5, 0.1, 240, 256},  {"efficientnet_b2", 1.1, 1.2, 0.3, 1e-5, 0.1, 288, 288},
    {"efficientnet_b3", 1.2, 1.4, 0.3, 1e-5, 0.1, 300, 320},  {"efficientnet_b4", 1.4, 1.8, 0.4, 1e-5, 0.1, 380, 384},  {"efficientnet_b5", 1.6, 2.2, 0.4, 1e-3, 0.01, 456, 456},
    {"efficientnet_b6", 1.8, 2.6, 0.5, 1e-3, 0.01, 528, 528}, {"efficientnet_b7", 2.0, 3.1, 0.5, 1e-3, 0.01, 600, 600},
};

struct Stage {
  int64_t expansion, kernel, stride, in, out, blocks;
};
constexpr Stage kStages[] = {{1, 3, 1, 32, 16, 1}, {6, 3, 2, 16, 24, 2}, {6, 5, 2, 24, 40, 2}, {6, 3, 2, 40, 80, 3}, {6, 5, 1, 80, 112, 3}, {6, 5, 2, 112, 192, 4}, {6, 3, 1, 192, 320, 1}};

int64_t Channels(int64_t channels, double factor) { return MakeDivisible(static_cast<double>(channels) * factor, 8); }

InvertedResidualBlock MakeBlock(const std::string& name, const Stage& stage, int64_t in, int64_t out, int64_t stride) {
  InvertedResidualBlock block;
  block.in = in, block.out = out, block.kernel = stage.kernel, block.stride = stride;
  block.expanded = Channels(in, static_cast<double>(stage.expansion));
  int next = 0;
  if (block.expanded != in) block.expansion = StrCat(name, ".block.", next++);
  block.depthwise = StrCat(name, ".block.", next++);
  block.squeeze = StrCat(name, ".block.", next++);
  block.squeezed = std::max<int64_t>(1, in / 4);
  block.projection = StrCat(name, ".block.", next, ".0");
  block.projection_norm = StrCat(name, ".block.", next, ".1");
  return block;
}

MobileTrunk MakeTrunk(double width, double depth) {
  MobileTrunk trunk;
  trunk.first_channels = Channels(kStages[0].in, width);
  for (size_t i = 0; i < std::size(kStages); ++i) {
    const Stage& stage = kStages[i];
    const auto blocks = static_cast<int64_t>(std::ceil(static_cast<double>(stage.blocks) * depth));
    for (int64_t block = 0; block < blocks; ++block) {
      const bool first = block == 0;
      trunk.Add(MakeBlock(StrCat("features.", i + 1, ".", block), stage, Channels(first ? stage.in : stage.out, width), Channels(stage.out, width), first ? stage.stride : 1),
                first && (i == 0 || stage.stride > 1));
    }
  }
  trunk.last = StrCat("features.", std::size(kStages) + 1);
  trunk.last_channels = 4 * trunk.blocks.back().out;
  return trunk;
}

std::vector<Architecture> EfficientNets() {
  std::vector<Architecture> family;
  for (const std::string& name : EfficientNetNames()) {
    family.push_back({.name = name, .modality = Modality::kImage, .head_name = "classifier.1", .describe = [name](const nlohmann::json& config) -> absl::StatusOr<ModelLayout> {
                        ATTUNE_ASSIGN_OR_RETURN(const EfficientNetConfig parsed, ParseEfficientNet(name, config));
                        return EfficientNetLayout(parsed);
                      }});
  }
  return family;
}

ATTUNE_REGISTER_ARCHITECTURE(EfficientNets());

}  // namespace

std::vector<std::string> EfficientNetNames() {
  std::vector<std::string> names;
  for (const Variant& variant : kVariants) names.push_back(variant.name);
  return names;
}

absl::StatusOr<EfficientNetConfig> ParseEfficientNet(const std::string& name, const nlohmann::json& config) {
  const Variant& variant = *std::find_if(std::begin(kVariants), std::end(kVariants), [&](const Variant& v) { return name == v.name; });
  EfficientNetConfig c;
  ATTUNE_ASSIGN_OR_RETURN(const double width, ConfigReal(config, "width_mult", variant.width, 0.01, 8));
  ATTUNE_ASSIGN_OR_RETURN(const double depth, ConfigReal(config, "depth_mult", variant.depth, 0.01, 16));
  c.trunk = MakeTrunk(width, depth);
  ATTUNE_ASSIGN_OR_RETURN(c.dropout, ConfigReal(config, "dropout", variant.dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.stochastic_depth, ConfigReal(config, "stochastic_depth_prob", c.stochastic_depth, 0, kMaxDropout));
  c.norm_epsilon = variant.norm_epsilon;
  c.norm_momentum = variant.norm_momentum;
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kPositionsAlone));
  ATTUNE_ASSIGN_OR_RETURN(c.image, ReadImageInput(config, {.image_size = variant.image_size, .resize_size = variant.resize_size, .bicubic = true}));
  return c;
}

absl::StatusOr<ModelLayout> EfficientNetLayout(const EfficientNetConfig& config) { return TrunkLayout(config.trunk, config.image, "width_mult and depth_mult"); }

}  // namespace attune::architectures
