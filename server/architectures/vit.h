// The Vision Transformer (Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929) as transformers' ViTModel: its config.json, read and bounded, for the layout
// (vit.cc) and for the model in server/training/models/vit.cc. Pure; thread-safe. INVALID_ARGUMENT names the key at fault.
//
//   ATTUNE_ASSIGN_OR_RETURN(VitConfig c, ReadVitConfig(config));
#pragma once

#include "server/architectures/vision_transformer_config.h"

namespace attune::architectures {

// Defaults are those of transformers' ViTConfig (ViT-B/16).
struct VitConfig {
  VisionTransformerConfig common;
  int64_t intermediate_size = 3072;
};

absl::StatusOr<VitConfig> ReadVitConfig(const nlohmann::json& config);

}  // namespace attune::architectures
