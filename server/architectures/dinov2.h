// DINOv2 (Oquab et al. 2023, https://arxiv.org/abs/2304.07193) as transformers' Dinov2Model: its config.json, read and bounded, for the layout (dinov2.cc) and for the
// model in server/training/models/dinov2.cc. Pure; thread-safe. INVALID_ARGUMENT names the key at fault.
//
//   ATTUNE_ASSIGN_OR_RETURN(Dinov2Config c, ReadDinov2Config(config));
#pragma once

#include "server/architectures/vision_transformer_config.h"

namespace attune::architectures {

// Defaults are those of transformers' Dinov2Config (ViT-B/14).
struct Dinov2Config {
  VisionTransformerConfig common;
  int64_t intermediate_size = 3072;  // hidden_size * mlp_ratio; with use_swiglu_ffn two thirds of it, rounded up to a multiple of 8
  bool swiglu = false;
  double layer_scale = 1;            // what a new one starts from
  double drop_path = 0;              // probability that a branch of a layer is left out for an example, in training
};

absl::StatusOr<Dinov2Config> ReadDinov2Config(const nlohmann::json& config);

}  // namespace attune::architectures
