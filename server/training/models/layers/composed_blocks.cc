// Encoder blocks composed of ATen's operators: for accelerators, and the yardstick of the fused ones. Works under autocast.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

#include "server/training/models/layers/encoder_blocks.h"
#include "server/training/models/layers/packed_attention.h"

namespace attune::training {
namespace composed {
namespace {

at::Tensor Apply(const LinearWeights& linear, const at::Tensor& x) { return at::linear(x, linear.weight, linear.bias); }

at::Tensor Normalise(const at::Tensor& x, const NormWeights& norm, const BlockSettings& settings) {
  return at::layer_norm(x, norm.weight.sizes(), norm.weight, norm.bias, settings.norm_epsilon);
}

at::Tensor Drop(const at::Tensor& x, double probability) { return probability > 0 ? at::dropout(x, probability, /*train=*/true) : x; }

}  // namespace

at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings) {
  const at::Tensor sum = at::embedding(weights.word, batch.token_ids, weights.pad_token_id) + at::embedding(weights.type, batch.type_ids) +
                         at::embedding(weights.position, batch.position_ids);
  return Drop(Normalise(sum, weights.norm, settings), settings.hidden_dropout);
}

at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings) {
  at::Tensor context;
  at::Tensor residual = x;
  if (choice == TokenChoice::kAllTokens) {
    const at::Tensor weight = at::cat({weights.query.weight, weights.key.weight, weights.value.weight}, 0);
    const at::Tensor bias = at::cat({weights.query.bias, weights.key.bias, weights.value.bias}, 0);
    context = PackedAttention(at::linear(x, weight, bias), batch.runs, settings.heads, settings.attention_dropout);
  } else {
    residual = x.index_select(0, batch.first_token);
    const at::Tensor weight = at::cat({weights.key.weight, weights.value.weight}, 0);
    const at::Tensor bias = at::cat({weights.key.bias, weights.value.bias}, 0);
    context = PackedSingleQueryAttention(Apply(weights.query, residual), at::linear(x, weight, bias), batch.runs, settings.heads, settings.attention_dropout);
  }
  return Normalise(Drop(Apply(weights.output, context), settings.hidden_dropout) + residual, weights.norm, settings);
}

at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings) {
  const at::Tensor inner = Activate(settings.activation, Apply(weights.intermediate, x));
  return Normalise(Drop(Apply(weights.output, inner), settings.hidden_dropout) + x, weights.norm, settings);
}

}  // namespace composed

at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings) {
  return weights.word.is_cpu() ? cpu::EmbeddingBlock(weights, batch, settings) : composed::EmbeddingBlock(weights, batch, settings);
}

at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings) {
  return x.is_cpu() ? cpu::AttentionBlock(weights, x, batch, choice, settings) : composed::AttentionBlock(weights, x, batch, choice, settings);
}

at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings) {
  return x.is_cpu() ? cpu::FeedForwardBlock(weights, x, settings) : composed::FeedForwardBlock(weights, x, settings);
}

}  // namespace attune::training
