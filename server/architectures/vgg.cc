#include "server/architectures/vgg.h"

#include <algorithm>

#include "absl/status/status.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/architectures/layout_builder.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int64_t kMaxWidth = 16384;
constexpr size_t kMaxFeatures = 100, kMaxBlocks = 5;  // five halvings take an image of 32 pixels to a single one

struct Variant {
  const char* name;
  int64_t convolutions[5];  // of each block
};
constexpr Variant kVariants[] = {{"vgg11", {1, 1, 2, 2, 2}}, {"vgg13", {2, 2, 2, 2, 2}}, {"vgg16", {2, 2, 3, 3, 3}}, {"vgg19", {2, 2, 4, 4, 4}}};
constexpr int64_t kChannels[] = {64, 128, 256, 512, 512};

std::vector<std::vector<int64_t>> DefaultBlocks(const std::string& name) {
  const std::string plain = name.substr(0, name.find("_bn"));
  const Variant& variant = *std::find_if(std::begin(kVariants), std::end(kVariants), [&](const Variant& v) { return plain == v.name; });
  std::vector<std::vector<int64_t>> blocks;
  for (size_t i = 0; i < std::size(kChannels); ++i) blocks.emplace_back(variant.convolutions[i], kChannels[i]);
  return blocks;
}

absl::StatusOr<std::vector<std::vector<int64_t>>> ReadFeatures(const nlohmann::json& config, const std::string& name) {
  const auto found = config.find("features");
  if (found == config.end() || found->is_null()) return DefaultBlocks(name);
  const absl::Status wrong = ConfigError("features", *found, StrCat("it must be a list such as [64, \"M\", 128, \"M\"]: channels from 1 to ", kMaxWidth, ", with \"M\" at the end of each of 1 to ",
                                                                    kMaxBlocks, " blocks, and at most ", kMaxFeatures, " entries"));
  if (!found->is_array() || found->empty() || found->size() > kMaxFeatures || found->back() != "M") return wrong;
  std::vector<std::vector<int64_t>> blocks(1);
  for (const nlohmann::json& value : *found) {
    if (value == "M") {
      if (blocks.back().empty()) return wrong;
      blocks.emplace_back();
    } else if (IsInteger(value, 1, kMaxWidth)) {
      blocks.back().push_back(value.get<int64_t>());
    } else {
      return wrong;
    }
  }
  blocks.pop_back();
  if (blocks.size() > kMaxBlocks) return wrong;
  return blocks;
}

std::vector<Architecture> Vggs() {
  std::vector<Architecture> family;
  for (const std::string& name : VggNames()) {
    family.push_back({.name = name, .modality = Modality::kImage, .head_name = "classifier.6", .describe = [name](const nlohmann::json& config) -> absl::StatusOr<ModelLayout> {
                        ATTUNE_ASSIGN_OR_RETURN(const VggConfig parsed, ParseVgg(name, config));
                        return VggLayout(parsed);
                      }});
  }
  return family;
}

ATTUNE_REGISTER_ARCHITECTURE(Vggs());

}  // namespace

std::vector<std::string> VggNames() {
  std::vector<std::string> names;
  for (const Variant& variant : kVariants) {
    names.push_back(variant.name);
    names.push_back(StrCat(variant.name, "_bn"));
  }
  return names;
}

absl::StatusOr<VggConfig> ParseVgg(const std::string& name, const nlohmann::json& config) {
  VggConfig c;
  c.batch_norm = name.find("_bn") != std::string::npos;
  ATTUNE_ASSIGN_OR_RETURN(c.blocks, ReadFeatures(config, name));
  ATTUNE_ASSIGN_OR_RETURN(c.classifier_width, ConfigInteger(config, "classifier_width", c.classifier_width, 1, kMaxWidth));
  ATTUNE_ASSIGN_OR_RETURN(c.dropout, ConfigReal(config, "dropout", c.dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kPositionsAlone));
  ATTUNE_ASSIGN_OR_RETURN(c.image, ReadImageInput(config, {.image_size = 224, .resize_size = 256}));
  return c;
}

std::vector<std::vector<int64_t>> VggModuleNumbers(const VggConfig& c) {
  std::vector<std::vector<int64_t>> numbers;
  int64_t next = 0;
  for (const std::vector<int64_t>& block : c.blocks) {
    numbers.emplace_back();
    for (size_t i = 0; i < block.size(); ++i) {
      numbers.back().push_back(next);
      next += c.batch_norm ? 3 : 2;  // the convolution, its BatchNorm, the nonlinearity
    }
    ++next;  // the pool
  }
  return numbers;
}

absl::StatusOr<ModelLayout> VggLayout(const VggConfig& c) {
  LayoutBuilder builder;
  const std::vector<std::vector<int64_t>> numbers = VggModuleNumbers(c);
  int64_t in = 3;
  for (size_t block = 0; block < c.blocks.size(); ++block) {
    builder.BeginGroup(StrCat("block", block + 1));
    for (size_t i = 0; i < c.blocks[block].size(); ++i) {
      const int64_t out = c.blocks[block][i];
      builder.Conv(StrCat("features.", numbers[block][i]), out, in, 3, 3, true);
      if (c.batch_norm) builder.BatchNorm(StrCat("features.", numbers[block][i] + 1), out);
      in = out;
    }
  }
  if (c.pooling == Pooling::kOwn) {
    builder.BeginGroup("classifier", /*optional=*/true);
    builder.Linear("classifier.0", c.classifier_width, in * kVggPooledSide * kVggPooledSide);
    builder.Linear("classifier.3", c.classifier_width, c.classifier_width);
  }
  ModelLayout layout = builder.Take();
  ATTUNE_RETURN_IF_ERROR(CheckParameterCount(layout, "features and classifier_width"));
  layout.image = c.image;
  return layout;
}

}  // namespace attune::architectures
