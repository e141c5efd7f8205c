// The parameters of transformers' ViTModel under the names that it saves them with. The counterpart of server/training/models/vit.cc.
#include "server/architectures/vit.h"

#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "server/architectures/architecture.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/architectures/layout_builder.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

void AddLayer(LayoutBuilder& builder, const std::string& name, const VitConfig& c) {
  const int64_t hidden = c.common.hidden_size;
  builder.LayerNorm(name + ".layernorm_before", hidden);
  builder.Linear(name + ".attention.attention.query", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.attention.key", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.attention.value", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.output.dense", hidden, hidden);
  builder.LayerNorm(name + ".layernorm_after", hidden);
  builder.Linear(name + ".intermediate.dense", c.intermediate_size, hidden);
  builder.Linear(name + ".output.dense", hidden, c.intermediate_size);
}

// As ViTImageProcessor does with Google's checkpoints: the whole image, -1..1.
absl::StatusOr<ImageInput> ReadInput(const nlohmann::json& config, const VitConfig& c) {
  ImageInput defaults;
  defaults.image_size = static_cast<int>(c.common.image_size);
  defaults.resize_size = defaults.image_size;
  defaults.min_image_size = static_cast<int>(c.common.patch_size);
  defaults.size_step = static_cast<int>(c.common.patch_size);
  defaults.mean = {0.5f, 0.5f, 0.5f};
  defaults.standard_deviation = {0.5f, 0.5f, 0.5f};
  return ReadImageInput(config, defaults);
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_ASSIGN_OR_RETURN(const VitConfig c, ReadVitConfig(config));
  ATTUNE_ASSIGN_OR_RETURN(const ImageInput input, ReadInput(config, c));
  return VisionTransformerLayout(c.common, input, [&c](LayoutBuilder& builder, const std::string& name) { AddLayer(builder, name, c); }, "hidden_size, num_hidden_layers, intermediate_size, image_size and patch_size");
}

// The pooler and the mask token serve pretraining; ViTForImageClassification has neither.
bool IsBuffer(std::string_view name) { return absl::StartsWith(AbslView(name), "pooler.") || name == "embeddings.mask_token"; }

ATTUNE_REGISTER_ARCHITECTURE((Architecture{
    .name = "vit", .modality = Modality::kImage, .prefix = "vit.", .head_name = "classifier", .describe = Describe, .is_buffer = IsBuffer}));

}  // namespace

absl::StatusOr<VitConfig> ReadVitConfig(const nlohmann::json& config) {
  VitConfig c;
  ATTUNE_ASSIGN_OR_RETURN(c.common, ReadVisionTransformerConfig(config, c.common));
  ATTUNE_ASSIGN_OR_RETURN(c.intermediate_size, ConfigInteger(config, "intermediate_size", c.intermediate_size, 1, 131072));
  return c;
}

}  // namespace attune::architectures
