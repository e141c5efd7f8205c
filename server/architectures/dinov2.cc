// The parameters of transformers' Dinov2Model under the names that it saves them with. The counterpart of server/training/models/dinov2.cc.
#include "server/architectures/dinov2.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "server/architectures/architecture.h"
#include "server/architectures/config_values.h"
#include "server/architectures/image_config.h"
#include "server/architectures/layout_builder.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int64_t kUsualSide = 224, kUsualResize = 256;

void AddLayer(LayoutBuilder& builder, const std::string& name, const Dinov2Config& c) {
  const int64_t hidden = c.common.hidden_size;
  builder.LayerNorm(name + ".norm1", hidden);
  builder.Linear(name + ".attention.attention.query", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.attention.key", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.attention.value", hidden, hidden, c.common.qkv_bias);
  builder.Linear(name + ".attention.output.dense", hidden, hidden);
  builder.Scale(name + ".layer_scale1.lambda1", hidden);
  builder.LayerNorm(name + ".norm2", hidden);
  if (c.swiglu) {
    builder.Linear(name + ".mlp.weights_in", 2 * c.intermediate_size, hidden);
    builder.Linear(name + ".mlp.weights_out", hidden, c.intermediate_size);
  } else {
    builder.Linear(name + ".mlp.fc1", c.intermediate_size, hidden);
    builder.Linear(name + ".mlp.fc2", hidden, c.intermediate_size);
  }
  builder.Scale(name + ".layer_scale2.lambda1", hidden);
}

// As the checkpoints' own image processor: 224 of 256 pixels, although their positions (the config's image_size) are those of 518.
absl::StatusOr<ImageInput> ReadInput(const nlohmann::json& config, const Dinov2Config& c) {
  const int64_t step = c.common.patch_size;
  const int64_t side = std::max(std::min(c.common.image_size, kUsualSide) / step * step, step);
  ImageInput defaults;
  defaults.image_size = static_cast<int>(side);
  defaults.resize_size = static_cast<int>(side * kUsualResize / kUsualSide);
  defaults.min_image_size = static_cast<int>(step);
  defaults.size_step = static_cast<int>(step);
  defaults.bicubic = true;
  nlohmann::json rest = config;
  if (rest.is_object()) rest.erase("image_size");
  return ReadImageInput(rest, defaults);
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_ASSIGN_OR_RETURN(const Dinov2Config c, ReadDinov2Config(config));
  ATTUNE_ASSIGN_OR_RETURN(const ImageInput input, ReadInput(config, c));
  return VisionTransformerLayout(c.common, input, [&c](LayoutBuilder& builder, const std::string& name) { AddLayer(builder, name, c); }, "hidden_size, num_hidden_layers, mlp_ratio, image_size and patch_size");
}

// It stands for masked patches in pretraining.
bool IsBuffer(std::string_view name) { return name == "embeddings.mask_token"; }

ATTUNE_REGISTER_ARCHITECTURE((Architecture{
    .name = "dinov2", .modality = Modality::kImage, .prefix = "dinov2.", .head_name = "classifier", .describe = Describe, .is_buffer = IsBuffer}));

}  // namespace

absl::StatusOr<Dinov2Config> ReadDinov2Config(const nlohmann::json& config) {
  Dinov2Config c;
  c.common.patch_size = 14;
  c.common.layer_norm_eps = 1e-6;
  ATTUNE_ASSIGN_OR_RETURN(c.common, ReadVisionTransformerConfig(config, c.common));
  ATTUNE_ASSIGN_OR_RETURN(const int64_t ratio, ConfigInteger(config, "mlp_ratio", 4, 1, 16));
  ATTUNE_ASSIGN_OR_RETURN(c.swiglu, ConfigBool(config, "use_swiglu_ffn", c.swiglu));
  ATTUNE_ASSIGN_OR_RETURN(c.layer_scale, ConfigReal(config, "layerscale_value", c.layer_scale, -100, 100));
  ATTUNE_ASSIGN_OR_RETURN(c.drop_path, ConfigReal(config, "drop_path_rate", c.drop_path, 0, kMaxDropout));
  c.intermediate_size = c.common.hidden_size * ratio;
  if (c.swiglu) c.intermediate_size = (c.intermediate_size * 2 / 3 + 7) / 8 * 8;
  return c;
}

}  // namespace attune::architectures
