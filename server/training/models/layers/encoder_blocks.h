// The blocks of a post-norm transformer encoder on packed tokens (Vaswani et al. 2017; Devlin et al. 2018), differentiable:
//
//   x = EmbeddingBlock(weights, batch, settings);                    [T, H]
//   x = AttentionBlock(weights, x, batch, kAllTokens, settings);     [T, H], or [B, H] for the first token of each sequence
//   x = FeedForwardBlock(weights, x, settings);
//
// On the CPU each block is one node of autograd's graph with hand-written backward over fused kernels (cpu_*.cc); elsewhere it is composed of ATen's operators
// (composed_blocks.cc). Both compute the same: tests compare the fused ones with the composed ones and with transformers. Dropout on the CPU is drawn from settings.seed, elsewhere from torch's generator.
// fp32 in and out; matrix products in settings.product_type. Throws c10::Error, and on the CPU std::invalid_argument for indices outside their table.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/input/text_batch.h"
#include "server/training/models/layers/activation.h"

namespace attune::training {

struct LinearWeights {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
};

struct NormWeights {
  at::Tensor weight;  // [H]
  at::Tensor bias;    // [H]
};

// The gradient of an embedding table touches few of its rows. This keeps a zeroed buffer between steps and clears only the rows that the last step touched, instead of
// allocating and clearing the whole table each step (47 MB for BERT's vocabulary).
class TableGradient {
 public:
  // Adds rows [N, H] at indices [N] to table.grad(), which becomes the buffer if it is undefined. Index `skipped` gets nothing (-1: none).
  void Add(at::Tensor table, const at::Tensor& rows, const at::Tensor& indices, int64_t skipped);

 private:
  at::Tensor buffer_;
  std::vector<int64_t> touched_;
};

struct EmbeddingWeights {
  at::Tensor word, position, type;  // [rows, H]
  NormWeights norm;
  int64_t pad_token_id = -1;        // gets no gradient
  std::shared_ptr<TableGradient> word_gradient, position_gradient, type_gradient;  // used on the CPU
};

struct AttentionWeights {
  LinearWeights query, key, value, output;
  NormWeights norm;
};

struct FeedForwardWeights {
  LinearWeights intermediate, output;
  NormWeights norm;
};

struct BlockSettings {
  int64_t heads = 1;
  Activation activation = Activation::kGelu;
  double norm_epsilon = 1e-12;
  double hidden_dropout = 0;     // 0 outside training
  double attention_dropout = 0;
  uint64_t seed = 0;             // of the forward pass
  uint32_t site = 0;             // tells the blocks of a pass apart; a block takes two
  at::ScalarType product_type = at::kFloat;  // or kBFloat16
};

enum class TokenChoice { kAllTokens, kFirstTokens };

at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings);
at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings);
at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings);

// The two implementations, for tests that compare them.
namespace composed {
at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings);
at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings);
at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings);
}  // namespace composed
namespace cpu {
at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings);
at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings);
at::Tensor FeedForwardBlock(const FeedForwardWeights& weights, const at::Tensor& x, const BlockSettings& settings);
}  // namespace cpu

}  // namespace attune::training
