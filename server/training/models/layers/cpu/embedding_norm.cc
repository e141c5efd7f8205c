#include "server/training/models/layers/cpu/embedding_norm.h"

#include <vector>

#include "server/training/models/layers/cpu/dropout_mask.h"
#include "server/training/models/layers/cpu/norm_row.h"
#include "server/training/models/layers/cpu/row_blocks.h"

namespace attune::training::cpu {
namespace {

ATTUNE_CLONES void Rows(const EmbeddingNormForward& w, const DropoutMask& mask, int64_t begin, int64_t end, float* keep) {
  const int64_t width = w.width;
  for (int64_t i = begin; i < end; ++i) {
    const float* a = w.tables[0] + w.indices[0][i] * width;
    const float* b = w.tables[1] + w.indices[1][i] * width;
    const float* c = w.tables[2] + w.indices[2][i] * width;
    float* sum = w.sum + i * width;
    float* output = w.output + i * width;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) sum[j] = a[j] + b[j] + c[j];
    NormaliseRow(sum, w.weight, w.shift, w.epsilon, width, output, w.mean + i, w.scale + i);
    if (!w.dropout.active()) continue;
    mask.Fill(static_cast<uint64_t>(i), width, keep);
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) output[j] *= keep[j];
  }
}

ATTUNE_CLONES void Rows(const EmbeddingNormBackward& w, const DropoutMask& mask, int64_t begin, int64_t end, float* keep, float* partial) {
  const int64_t width = w.width;
  for (int64_t i = begin; i < end; ++i) {
    const float* grad = w.grad_output + i * width;
    float* grad_sum = w.grad_sum + i * width;
    if (w.dropout.active()) {
      mask.Fill(static_cast<uint64_t>(i), width, keep);
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) grad_sum[j] = grad[j] * keep[j];
      grad = grad_sum;
    }
    NormaliseRowBackward(grad, w.sum + i * width, w.weight, w.mean[i], w.scale[i], width, grad_sum, partial, partial + width);
  }
}

}  // namespace

void Run(const EmbeddingNormForward& work) {
  const DropoutMask mask(work.dropout);
  ForRows(work.rows, work.width, [&](int64_t begin, int64_t end) {
    std::vector<float> keep(work.width);
    Rows(work, mask, begin, end, keep.data());
  });
}

void Run(const EmbeddingNormBackward& work) {
  const DropoutMask mask(work.dropout);
  SumOverRows(work.rows, 2 * work.width, work.grad_parameters, [&](int64_t begin, int64_t end, float* partial) {
    std::vector<float> keep(work.width);
    Rows(work, mask, begin, end, keep.data(), partial);
  });
}

// Threads take columns, not rows, so that rows which occur twice are no race and are added in order.
void AddToRows(const float* rows, const int64_t* indices, int64_t count, int64_t width, int64_t skipped, float* table) {
  constexpr int64_t kColumns = 64;
  const int64_t strips = (width + kColumns - 1) / kColumns;
  at::parallel_for(0, strips, std::max<int64_t>(1, 32768 / (kColumns * std::max<int64_t>(count, 1))), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * kColumns, last = std::min(end * kColumns, width);
    for (int64_t i = 0; i < count; ++i) {
      if (indices[i] == skipped) continue;
      const float* from = rows + i * width;
      float* to = table + indices[i] * width;
      for (int64_t j = first; j < last; ++j) to[j] += from[j];
    }
  });
}

}  // namespace attune::training::cpu
