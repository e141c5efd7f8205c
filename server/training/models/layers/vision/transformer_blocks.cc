#include "server/training/models/layers/vision/transformer_blocks.h"

#include <cmath>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include "absl/strings/str_cat.h"

namespace attune::training {
namespace {

// [1, 1 + rows * columns, H].
at::Tensor PositionsFor(const PatchEmbedding& embedding, int64_t rows, int64_t columns) {
  if (rows == embedding.side && columns == embedding.side) return embedding.positions;
  const int64_t hidden = embedding.positions.size(2);
  const at::Tensor grid = embedding.positions.narrow(1, 1, embedding.side * embedding.side).reshape({1, embedding.side, embedding.side, hidden}).permute({0, 3, 1, 2});
  const int64_t size[] = {rows, columns};
  const at::Tensor resized = at::upsample_bicubic2d(grid, at::IntArrayRef(size), /*align_corners=*/false, c10::nullopt, c10::nullopt);
  return at::cat({embedding.positions.narrow(1, 0, 1), resized.permute({0, 2, 3, 1}).reshape({1, rows * columns, hidden})}, 1);
}

}  // namespace

LinearWeights LinearOf(const ParameterSet& set, const std::string& name) {
  LinearWeights linear;
  linear.weight = set.Get(name + ".weight");
  if (set.Has(name + ".bias")) linear.bias = set.Get(name + ".bias");
  return linear;
}

NormWeights NormOf(const ParameterSet& set, const std::string& name) { return {set.Get(name + ".weight"), set.Get(name + ".bias")}; }

PatchEmbedding PatchEmbeddingOf(const ParameterSet& set) {
  PatchEmbedding embedding;
  embedding.class_token = set.Get("embeddings.cls_token");
  embedding.positions = set.Get("embeddings.position_embeddings");
  embedding.projection = LinearOf(set, "embeddings.patch_embeddings.projection");
  embedding.side = std::llround(std::sqrt(embedding.positions.size(1) - 1));
  embedding.patch_size = embedding.projection.weight.size(2);
  return embedding;
}

SelfAttentionWeights SelfAttentionOf(const ParameterSet& set, const std::string& layer) {
  SelfAttentionWeights weights;
  weights.query = LinearOf(set, layer + ".attention.attention.query");
  weights.key = LinearOf(set, layer + ".attention.attention.key");
  weights.value = LinearOf(set, layer + ".attention.attention.value");
  weights.output = LinearOf(set, layer + ".attention.output.dense");
  return weights;
}

at::Tensor EmbedPatches(const PatchEmbedding& embedding, const at::Tensor& pixels) {
  const int64_t patch = embedding.patch_size;
  if (pixels.size(2) % patch != 0 || pixels.size(3) % patch != 0) {
    throw std::invalid_argument(absl::StrCat("images of ", pixels.size(2), " x ", pixels.size(3), " pixels do not divide into patches of ", patch, " x ", patch,
                                             "; set image_size to a multiple of ", patch));
  }
  const at::Tensor patches = at::conv2d(pixels, embedding.projection.weight, embedding.projection.bias, /*stride=*/patch).flatten(2).transpose(1, 2);
  const at::Tensor tokens = at::cat({embedding.class_token.expand({pixels.size(0), 1, -1}), patches}, 1);
  return tokens + PositionsFor(embedding, pixels.size(2) / patch, pixels.size(3) / patch);
}

at::Tensor SelfAttention(const SelfAttentionWeights& weights, const at::Tensor& x, const SelfAttentionSettings& settings) {
  const int64_t batch = x.size(0);
  const int64_t queries = settings.queries > 0 ? settings.queries : x.size(1);
  const auto split = [&](const at::Tensor& y) { return y.view({batch, y.size(1), settings.heads, -1}).transpose(1, 2); };  // [B, heads, T, H / heads]
  const at::Tensor query = split(Linear(weights.query, x.narrow(1, 0, queries)));
  const at::Tensor key = split(Linear(weights.key, x));
  const at::Tensor value = split(Linear(weights.value, x));
  const at::Tensor attended = at::scaled_dot_product_attention(query, key, value, /*attn_mask=*/{}, settings.dropout);
  return Linear(weights.output, attended.transpose(1, 2).reshape({batch, queries, -1}));
}

at::Tensor PoolTokens(const at::Tensor& x, architectures::Pooling pooling) {
  using architectures::Pooling;
  if (pooling == Pooling::kOwn) throw std::logic_error("a model pools by itself where nothing else is asked for");
  if (pooling == Pooling::kFirstToken) return x.select(1, 0);
  const at::Tensor patches = x.narrow(1, 1, x.size(1) - 1);
  return pooling == Pooling::kMean ? patches.mean(1) : patches.amax(1);
}

at::Tensor Linear(const LinearWeights& weights, const at::Tensor& x) { return at::linear(x, weights.weight, weights.bias); }

at::Tensor Normalise(const NormWeights& weights, const at::Tensor& x, double epsilon) {
  return at::layer_norm(x, weights.weight.sizes(), weights.weight, weights.bias, epsilon);
}

}  // namespace attune::training
