#include "server/training/models/layers/packed_attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>

namespace attune::training {
namespace {

// Tokens of a run as [sequences, heads, length, head size], a view.
at::Tensor HeadsOf(const at::Tensor& packed, const LengthRun& run, int64_t column, int64_t width, int64_t heads) {
  return packed.narrow(0, run.first_token, run.count * run.length)
      .narrow(1, column, width)
      .view({run.count, run.length, heads, width / heads})
      .transpose(1, 2);
}

}  // namespace

at::Tensor PackedAttention(const at::Tensor& qkv, const std::vector<LengthRun>& runs, int64_t heads, double dropout) {
  const int64_t width = qkv.size(1) / 3;
  std::vector<at::Tensor> parts;
  parts.reserve(runs.size());
  for (const LengthRun& run : runs) {
    at::Tensor context = at::scaled_dot_product_attention(HeadsOf(qkv, run, 0, width, heads), HeadsOf(qkv, run, width, width, heads),
                                                          HeadsOf(qkv, run, 2 * width, width, heads), /*attn_mask=*/{}, dropout);
    parts.push_back(context.transpose(1, 2).reshape({run.count * run.length, width}));
  }
  return at::cat(parts, 0);
}

at::Tensor PackedSingleQueryAttention(const at::Tensor& query, const at::Tensor& key_value, const std::vector<LengthRun>& runs, int64_t heads, double dropout) {
  const int64_t width = query.size(1);
  std::vector<at::Tensor> parts;
  parts.reserve(runs.size());
  for (const LengthRun& run : runs) {
    const at::Tensor q = query.narrow(0, run.first_sequence, run.count).view({run.count, 1, heads, width / heads}).transpose(1, 2);
    at::Tensor context =
        at::scaled_dot_product_attention(q, HeadsOf(key_value, run, 0, width, heads), HeadsOf(key_value, run, width, width, heads), /*attn_mask=*/{}, dropout);
    parts.push_back(context.transpose(1, 2).reshape({run.count, width}));
  }
  return at::cat(parts, 0);
}

}  // namespace attune::training
