// What the config.json of every vision transformer of transformers has in common (ViTConfig, Dinov2Config), read and bounded. The one reading of it: the layouts in
// vit.cc and dinov2.cc and the models in server/training take their sizes from here. Pure; thread-safe. INVALID_ARGUMENT names the key, its value and what is allowed.
//
//   VisionTransformerConfig defaults;
//   defaults.patch_size = 14;
//   ATTUNE_ASSIGN_OR_RETURN(VisionTransformerConfig c, ReadVisionTransformerConfig(config, defaults));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/architectures/layout_builder.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

struct VisionTransformerConfig {
  int64_t hidden_size = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t image_size = 224;  // side that the learnt positions belong to; a multiple of patch_size
  int64_t patch_size = 16;
  bool qkv_bias = true;
  std::string hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0;
  double attention_dropout = 0;
  double initializer_range = 0.02;
  Pooling pooling = Pooling::kOwn;

  int64_t position_count() const { return (image_size / patch_size) * (image_size / patch_size) + 1; }  // the class token's included
};

absl::StatusOr<VisionTransformerConfig> ReadVisionTransformerConfig(const nlohmann::json& config, const VisionTransformerConfig& defaults);

// Class token, positions and patches, one group for each layer, and the last norm. `add_layer` adds a layer's parameters under its name; `keys`: of config.json, which an error about
// too many parameters names.
absl::StatusOr<ModelLayout> VisionTransformerLayout(const VisionTransformerConfig& c, const ImageInput& input,
                                                    const std::function<void(LayoutBuilder& builder, const std::string& name)>& add_layer, std::string_view keys);

}  // namespace attune::architectures
