#include "server/training/models/layers/cpu/residual_norm.h"

#include <vector>

#include "server/training/models/layers/cpu/dropout_mask.h"
#include "server/training/models/layers/cpu/norm_row.h"
#include "server/training/models/layers/cpu/row_blocks.h"

namespace attune::training::cpu {
namespace {

template <class G>
ATTUNE_INLINE void ForwardRows(const ResidualNormForward<G>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* scratch) {
  const int64_t width = w.width;
  float* keep = scratch;
  for (int64_t i = begin; i < end; ++i) {
    const G* input = w.input + i * width;
    const float* residual = w.residual + i * width;
    float* sum = w.sum != nullptr ? w.sum + i * width : scratch + width;
    if (w.dropout.active()) {
      mask.Fill(static_cast<uint64_t>(i), width, keep);
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) sum[j] = (Load(input + j) + w.bias[j]) * keep[j] + residual[j];
    } else {
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) sum[j] = Load(input + j) + w.bias[j] + residual[j];
    }
    float mean, scale;
    NormaliseRow(sum, w.weight, w.shift, w.epsilon, width, w.output + i * width, &mean, &scale);
    if (w.mean != nullptr) {
      w.mean[i] = mean;
      w.scale[i] = scale;
    }
  }
}

template <class G>
ATTUNE_INLINE void BackwardRows(const ResidualNormBackward<G>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* keep, float* partial) {
  const int64_t width = w.width;
  float* grad_bias = partial + 2 * width;
  for (int64_t i = begin; i < end; ++i) {
    float* grad_residual = w.grad_residual + i * width;
    NormaliseRowBackward(w.grad_output + i * width, w.sum + i * width, w.weight, w.mean[i], w.scale[i], width, grad_residual, partial, partial + width);
    if (w.dropout.active()) {
      mask.Fill(static_cast<uint64_t>(i), width, keep);
      G* grad_input = w.grad_input + i * width;
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) {
        const float g = grad_residual[j] * keep[j];
        grad_bias[j] += g;
        Store(grad_input + j, g);
      }
    } else {
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) grad_bias[j] += grad_residual[j];
      if (w.grad_input == nullptr) continue;
      G* grad_input = w.grad_input + i * width;
#pragma omp simd
      for (int64_t j = 0; j < width; ++j) Store(grad_input + j, grad_residual[j]);
    }
  }
}

ATTUNE_CLONES void Rows(const ResidualNormForward<float>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* scratch) {
  ForwardRows(w, mask, begin, end, scratch);
}
ATTUNE_CLONES void Rows(const ResidualNormForward<c10::BFloat16>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* scratch) {
  ForwardRows(w, mask, begin, end, scratch);
}
ATTUNE_CLONES void Rows(const ResidualNormBackward<float>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* keep, float* partial) {
  BackwardRows(w, mask, begin, end, keep, partial);
}
ATTUNE_CLONES void Rows(const ResidualNormBackward<c10::BFloat16>& w, const DropoutMask& mask, int64_t begin, int64_t end, float* keep, float* partial) {
  BackwardRows(w, mask, begin, end, keep, partial);
}

template <class G>
void RunForward(const ResidualNormForward<G>& work) {
  const DropoutMask mask(work.dropout);
  ForRows(work.rows, work.width, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(2 * work.width);
    Rows(work, mask, begin, end, scratch.data());
  });
}

template <class G>
void RunBackward(const ResidualNormBackward<G>& work) {
  const DropoutMask mask(work.dropout);
  SumOverRows(work.rows, 3 * work.width, work.grad_parameters, [&](int64_t begin, int64_t end, float* partial) {
    std::vector<float> keep(work.width);
    Rows(work, mask, begin, end, keep.data(), partial);
  });
}

}  // namespace

void Run(const ResidualNormForward<float>& work) { RunForward(work); }
void Run(const ResidualNormForward<c10::BFloat16>& work) { RunForward(work); }
void Run(const ResidualNormBackward<float>& work) { RunBackward(work); }
void Run(const ResidualNormBackward<c10::BFloat16>& work) { RunBackward(work); }

}  // namespace attune::training::cpu
