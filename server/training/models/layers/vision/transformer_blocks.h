// The blocks that vision transformers share (Dosovitskiy et al. 2020), composed of ATen's operators and so differentiable on every device: patches to tokens with learnt
// positions, multi-head self-attention, linear and norm layers. Free functions on weights that the models own; stateless. Random numbers come from torch's default
// generator. Throws std::invalid_argument for images that do not divide into patches.
//
//   at::Tensor x = EmbedPatches(embeddings, pixels);                                  [B, 1 + patches, H]: the class token first
//   x = x + SelfAttention(weights, Normalise(norm, x, 1e-6), {.heads = 6});           [B, T, H]
#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "server/architectures/pooling.h"
#include "server/training/models/layers/encoder_blocks.h"
#include "server/training/models/layers/vision/parameter_set.h"

namespace attune::training {

struct PatchEmbedding {
  at::Tensor class_token;    // [1, 1, H]
  at::Tensor positions;      // [1, 1 + side * side, H]
  LinearWeights projection;  // weight [H, 3, patch_size, patch_size]
  int64_t side = 1;          // patches a side that the positions belong to
  int64_t patch_size = 1;
};

struct SelfAttentionWeights {
  LinearWeights query, key, value, output;
};

struct SelfAttentionSettings {
  int64_t heads = 1;
  double dropout = 0;   // of the attention's weights; 0 outside training
  int64_t queries = 0;  // tokens that attend, from the first on; 0: all
};

// `name` with ".weight" and, where the layout has it, ".bias".
LinearWeights LinearOf(const ParameterSet& set, const std::string& name);
NormWeights NormOf(const ParameterSet& set, const std::string& name);
// "embeddings.cls_token", "embeddings.position_embeddings" and "embeddings.patch_embeddings.projection", as in every vision transformer of transformers.
PatchEmbedding PatchEmbeddingOf(const ParameterSet& set);
// "attention.attention.query", "attention.output.dense" and so on, below `layer`.
SelfAttentionWeights SelfAttentionOf(const ParameterSet& set, const std::string& layer);

// Pixels [B, 3, h, w] to [B, 1 + patches, H]. Where the patches are not those of the positions, these are interpolated as transformers does it (bicubic, no antialias).
at::Tensor EmbedPatches(const PatchEmbedding& embedding, const at::Tensor& pixels);
// x [B, T, H] to [B, queries or T, H].
at::Tensor SelfAttention(const SelfAttentionWeights& weights, const at::Tensor& x, const SelfAttentionSettings& settings);
// Tokens [B, 1 + patches, H] to [B, H]: the class token, or mean or maximum over the patches. kOwn is for the models to define.
at::Tensor PoolTokens(const at::Tensor& x, architectures::Pooling pooling);
at::Tensor Linear(const LinearWeights& weights, const at::Tensor& x);
at::Tensor Normalise(const NormWeights& weights, const at::Tensor& x, double epsilon);

}  // namespace attune::training
