// Multi-head self-attention over packed sequences (TextBatch::runs): no padding and no mask.
//
//   at::Tensor context = PackedAttention(qkv, batch.runs, /*heads=*/12, /*dropout=*/0.1);
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/input/text_batch.h"

namespace attune::training {

// `qkv` [T, 3H]: queries, keys and values of each token side by side, each H = heads x head size. Returns softmax(Q K^T / sqrt(H / heads)) V as [T, H].
// `dropout` is the share of attention weights that are zeroed; 0 outside training.
at::Tensor PackedAttention(const at::Tensor& qkv, const std::vector<LengthRun>& runs, int64_t heads, double dropout);

// The same for one query of each sequence: `query` [B, H], `key_value` [T, 2H]. Returns [B, H].
at::Tensor PackedSingleQueryAttention(const at::Tensor& query, const at::Tensor& key_value, const std::vector<LengthRun>& runs, int64_t heads, double dropout);

}  // namespace attune::training
