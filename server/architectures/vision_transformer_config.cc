#include "server/architectures/vision_transformer_config.h"

#include "server/architectures/config_values.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::architectures {
namespace {

constexpr int64_t kMaxPositions = 65536;

absl::Status CheckSizes(const nlohmann::json& config, const VisionTransformerConfig& c) {
  if (c.hidden_size % c.heads != 0) {
    return absl::InvalidArgumentError(
        StrCat("config.json: hidden_size (", c.hidden_size, ") must be a multiple of num_attention_heads (", c.heads, ")"));
  }
  const int64_t head_size = c.hidden_size / c.heads;
  ATTUNE_ASSIGN_OR_RETURN(const int64_t given, ConfigInteger(config, "head_dim", head_size, 1, 16384));
  if (given != head_size) {
    return absl::InvalidArgumentError(
        StrCat("config.json: head_dim is ", given, "; supported is hidden_size / num_attention_heads (", head_size, ") alone"));
  }
  if (c.image_size % c.patch_size != 0) {
    return absl::InvalidArgumentError(
        StrCat("config.json: image_size (", c.image_size, ") must be a multiple of patch_size (", c.patch_size, ")"));
  }
  if (c.position_count() > kMaxPositions) {
    return absl::InvalidArgumentError(StrCat("config.json: image_size (", c.image_size, ") and patch_size (", c.patch_size, ") make ", c.position_count(),
                                             " positions; at most ", kMaxPositions, " are supported"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VisionTransformerConfig> ReadVisionTransformerConfig(const nlohmann::json& config, const VisionTransformerConfig& defaults) {
  VisionTransformerConfig c = defaults;
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_size, ConfigInteger(config, "hidden_size", c.hidden_size, 1, 16384));
  ATTUNE_ASSIGN_OR_RETURN(c.layers, ConfigInteger(config, "num_hidden_layers", c.layers, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(c.heads, ConfigInteger(config, "num_attention_heads", c.heads, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(c.image_size, ConfigInteger(config, "image_size", c.image_size, 1, 4096));
  ATTUNE_ASSIGN_OR_RETURN(c.patch_size, ConfigInteger(config, "patch_size", c.patch_size, 1, 1024));
  ATTUNE_RETURN_IF_ERROR(ConfigInteger(config, "num_channels", 3, 3, 3).status());
  ATTUNE_ASSIGN_OR_RETURN(c.qkv_bias, ConfigBool(config, "qkv_bias", c.qkv_bias));
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_act, ConfigChoice(config, "hidden_act", c.hidden_act, {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}));
  ATTUNE_ASSIGN_OR_RETURN(c.layer_norm_eps, ConfigReal(config, "layer_norm_eps", c.layer_norm_eps, 0, 1));
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_dropout, ConfigReal(config, "hidden_dropout_prob", c.hidden_dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.attention_dropout, ConfigReal(config, "attention_probs_dropout_prob", c.attention_dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.initializer_range, ConfigReal(config, "initializer_range", c.initializer_range, 0, 10));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kHasFirstToken));
  ATTUNE_RETURN_IF_ERROR(CheckSizes(config, c));
  return c;
}

absl::StatusOr<ModelLayout> VisionTransformerLayout(const VisionTransformerConfig& c, const ImageInput& input,
                                                    const std::function<void(LayoutBuilder& builder, const std::string& name)>& add_layer, std::string_view keys) {
  LayoutBuilder builder;
  builder.BeginGroup("embeddings");
  builder.Table("embeddings.cls_token", {1, 1, c.hidden_size});
  builder.Table("embeddings.position_embeddings", {1, c.position_count(), c.hidden_size});
  builder.Conv("embeddings.patch_embeddings.projection", c.hidden_size, 3, c.patch_size, c.patch_size, /*bias=*/true);
  for (int64_t i = 0; i < c.layers; ++i) {
    builder.BeginGroup(StrCat("layer.", i));
    add_layer(builder, StrCat("encoder.layer.", i));
  }
  builder.BeginGroup("norm");
  builder.LayerNorm("layernorm", c.hidden_size);
  ModelLayout layout = builder.Take();
  ATTUNE_RETURN_IF_ERROR(CheckParameterCount(layout, keys));
  layout.image = input;
  return layout;
}

}  // namespace attune::architectures
