#include "server/training/models/layers/cpu/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <new>

#include <ATen/Parallel.h>

#include "server/training/models/layers/cpu/dropout_mask.h"
#include "server/training/models/layers/cpu/lanes.h"
#include "server/training/models/layers/cpu/small_gemm.h"

namespace attune::training::cpu {
namespace {

constexpr int64_t kBlockRows = 48;  // queries at a time: their weights stay in the second cache level up to 512 keys

int64_t RoundUp(int64_t n) { return (n + kGemmColumns - 1) / kGemmColumns * kGemmColumns; }

// Scratch memory of one thread, sized for the longest sequence.
class Scratch {
 public:
  explicit Scratch(int64_t floats) : data_(static_cast<float*>(::operator new[](floats * sizeof(float), kAlignment))) {}
  ~Scratch() { ::operator delete[](data_, kAlignment); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  float* data_;
};

struct Sizes {
  int64_t keys = 0;   // padded, of the longest sequence
  int64_t width = 0;  // head size, padded
};

template <class G>
Sizes SizesOf(const AttentionInputs<G>& in) {
  Sizes sizes;
  for (int64_t i = 0; i < in.sequence_count; ++i) sizes.keys = std::max(sizes.keys, RoundUp(in.sequences[i].keys));
  sizes.width = RoundUp(in.head_size);
  return sizes;
}

// out[rows, width] = (source + bias) * scale, zero beyond head_size.
template <class G>
ATTUNE_INLINE void LoadRows(const G* source, int64_t stride, const float* bias, float scale, int64_t rows, int64_t head_size, int64_t width, float* out) {
  for (int64_t i = 0; i < rows; ++i) {
    const G* row = source + i * stride;
    float* to = out + i * width;
#pragma omp simd
    for (int64_t c = 0; c < head_size; ++c) to[c] = (Load(row + c) + bias[c]) * scale;
    for (int64_t c = head_size; c < width; ++c) to[c] = 0;
  }
}

// out[head_size, padded] = transpose of (source + bias), zero beyond `rows`.
template <class G>
ATTUNE_INLINE void LoadTransposed(const G* source, int64_t stride, const float* bias, int64_t rows, int64_t head_size, int64_t padded, float* out) {
  for (int64_t c = 0; c < head_size; ++c) {
    float* to = out + c * padded;
    for (int64_t i = 0; i < rows; ++i) to[i] = Load(source + i * stride + c) + bias[c];
    for (int64_t i = rows; i < padded; ++i) to[i] = 0;
  }
}

// Makes exp(scores - max) of a row in place, zero beyond `keys`. Returns the sum.
ATTUNE_INLINE float ExponentialsOfRow(float* scores, int64_t keys, int64_t padded, float* max_out) {
  float largest = scores[0];
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < keys; ++j) largest = scores[j] > largest ? scores[j] : largest;
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < keys; ++j) {
    const float e = Exp(scores[j] - largest);
    scores[j] = e;
    total += e;
  }
  for (int64_t j = keys; j < padded; ++j) scores[j] = 0;
  *max_out = largest;
  return total;
}

template <class G>
ATTUNE_INLINE void ForwardHead(const AttentionForward<G>& w, const DropoutMask& mask, int64_t sequence, int64_t head, const Sizes& sizes, float* scratch) {
  const AttentionInputs<G>& in = w.in;
  const Sequence& s = in.sequences[sequence];
  const int64_t column = head * in.head_size, width = sizes.width, padded = RoundUp(s.keys), row_size = in.heads * in.head_size;
  float* keys = scratch;                       // [head_size, padded]
  float* values = keys + width * sizes.keys;   // [keys, width]
  float* queries = values + sizes.keys * width;      // [block, width]
  float* weights = queries + kBlockRows * width;     // [block, padded]
  float* context = weights + kBlockRows * sizes.keys;  // [block, width]
  float* keep = context + kBlockRows * width;        // [padded]
  LoadTransposed(in.key + s.first_key * in.key_stride + column, in.key_stride, in.key_bias + column, s.keys, in.head_size, padded, keys);
  LoadRows(in.value + s.first_key * in.key_stride + column, in.key_stride, in.value_bias + column, 1.0f, s.keys, in.head_size, width, values);
  const float scale = 1.0f / std::sqrt(static_cast<float>(in.head_size));
  for (int64_t begin = 0; begin < s.queries; begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, s.queries - begin), first = s.first_query + begin;
    LoadRows(in.query + first * in.query_stride + column, in.query_stride, in.query_bias + column, scale, rows, in.head_size, width, queries);
    SmallGemm({queries, width, 1}, keys, padded, rows, padded, in.head_size, weights, padded, false);
    float inverse[kBlockRows];
    for (int64_t i = 0; i < rows; ++i) {
      float* row = weights + i * padded;
      float largest;
      const float total = ExponentialsOfRow(row, s.keys, padded, &largest);
      inverse[i] = 1.0f / total;
      if (w.log_sums != nullptr) w.log_sums[head * in.query_rows + first + i] = largest + std::log(total);
      if (!in.dropout.active()) continue;
      mask.Fill(static_cast<uint64_t>(head * in.query_rows + first + i), s.keys, keep);
#pragma omp simd
      for (int64_t j = 0; j < s.keys; ++j) row[j] *= keep[j];
    }
    SmallGemm({weights, padded, 1}, values, width, rows, width, s.keys, context, width, false);
    for (int64_t i = 0; i < rows; ++i) {
      G* out = w.output + (first + i) * row_size + column;
      const float* from = context + i * width;
#pragma omp simd
      for (int64_t c = 0; c < in.head_size; ++c) Store(out + c, from[c] * inverse[i]);
    }
  }
}

// weights[j] becomes the row's weights after dropout; grads[j], which comes in as the gradient of those, becomes the gradient of the scores.
ATTUNE_INLINE void BackwardRow(float* weights, float* grads, float log_sum, const float* keep, int64_t keys, int64_t padded) {
  float along = 0;
  if (keep != nullptr) {
#pragma omp simd reduction(+ : along)
    for (int64_t j = 0; j < keys; ++j) {
      const float p = Exp(weights[j] - log_sum);
      const float g = grads[j] * keep[j];
      along += p * g;
      weights[j] = p;
      grads[j] = g;
    }
#pragma omp simd
    for (int64_t j = 0; j < keys; ++j) {
      const float p = weights[j];
      grads[j] = p * (grads[j] - along);
      weights[j] = p * keep[j];
    }
  } else {
#pragma omp simd reduction(+ : along)
    for (int64_t j = 0; j < keys; ++j) {
      const float p = Exp(weights[j] - log_sum);
      along += p * grads[j];
      weights[j] = p;
    }
#pragma omp simd
    for (int64_t j = 0; j < keys; ++j) grads[j] = weights[j] * (grads[j] - along);
  }
  for (int64_t j = keys; j < padded; ++j) weights[j] = grads[j] = 0;
}

template <class G>
ATTUNE_INLINE void StoreRows(const float* from, int64_t width, float scale, int64_t rows, int64_t head_size, G* out, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
#pragma omp simd
    for (int64_t c = 0; c < head_size; ++c) Store(out + i * stride + c, from[i * width + c] * scale);
  }
}

template <class G>
ATTUNE_INLINE void BackwardHead(const AttentionBackward<G>& w, const DropoutMask& mask, const float* zeros, int64_t sequence, int64_t head, const Sizes& sizes,
                                float* scratch) {
  const AttentionInputs<G>& in = w.in;
  const Sequence& s = in.sequences[sequence];
  const int64_t column = head * in.head_size, width = sizes.width, padded = RoundUp(s.keys), row_size = in.heads * in.head_size;
  const int64_t matrix = sizes.keys * width, block = kBlockRows * width;
  float* keys = scratch;                        // [keys, width]
  float* keys_turned = keys + matrix;           // [head_size, padded]
  float* values_turned = keys_turned + matrix;  // [head_size, padded]
  float* grad_keys = values_turned + matrix;    // [keys, width]
  float* grad_values = grad_keys + matrix;      // [keys, width]
  float* queries = grad_values + matrix;        // [block, width]
  float* grad_context = queries + block;        // [block, width]
  float* grad_queries = grad_context + block;   // [block, width]
  float* weights = grad_queries + block;                     // [block, padded]
  float* grad_weights = weights + kBlockRows * sizes.keys;   // [block, padded]
  float* keep = grad_weights + kBlockRows * sizes.keys;      // [padded]
  const G* key = in.key + s.first_key * in.key_stride + column;
  LoadRows(key, in.key_stride, in.key_bias + column, 1.0f, s.keys, in.head_size, width, keys);
  LoadTransposed(key, in.key_stride, in.key_bias + column, s.keys, in.head_size, padded, keys_turned);
  LoadTransposed(in.value + s.first_key * in.key_stride + column, in.key_stride, in.value_bias + column, s.keys, in.head_size, padded, values_turned);
  const float scale = 1.0f / std::sqrt(static_cast<float>(in.head_size));
  for (int64_t begin = 0; begin < s.queries; begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, s.queries - begin), first = s.first_query + begin;
    LoadRows(in.query + first * in.query_stride + column, in.query_stride, in.query_bias + column, scale, rows, in.head_size, width, queries);
    LoadRows(w.grad_output + first * row_size + column, row_size, zeros, 1.0f, rows, in.head_size, width, grad_context);
    SmallGemm({queries, width, 1}, keys_turned, padded, rows, padded, in.head_size, weights, padded, false);
    SmallGemm({grad_context, width, 1}, values_turned, padded, rows, padded, in.head_size, grad_weights, padded, false);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t row = head * in.query_rows + first + i;
      if (in.dropout.active()) mask.Fill(static_cast<uint64_t>(row), s.keys, keep);
      BackwardRow(weights + i * padded, grad_weights + i * padded, w.log_sums[row], in.dropout.active() ? keep : nullptr, s.keys, padded);
    }
    SmallGemm({grad_weights, padded, 1}, keys, width, rows, width, s.keys, grad_queries, width, false);
    SmallGemm({grad_weights, 1, padded}, queries, width, s.keys, width, rows, grad_keys, width, begin > 0);
    SmallGemm({weights, 1, padded}, grad_context, width, s.keys, width, rows, grad_values, width, begin > 0);
    StoreRows(grad_queries, width, scale, rows, in.head_size, w.grad_query + first * in.query_stride + column, in.query_stride);
  }
  StoreRows(grad_keys, width, 1.0f, s.keys, in.head_size, w.grad_key + s.first_key * in.key_stride + column, in.key_stride);
  StoreRows(grad_values, width, 1.0f, s.keys, in.head_size, w.grad_value + s.first_key * in.key_stride + column, in.key_stride);
}

ATTUNE_CLONES void Head(const AttentionForward<float>& w, const DropoutMask& mask, int64_t sequence, int64_t head, const Sizes& sizes, float* scratch) {
  ForwardHead(w, mask, sequence, head, sizes, scratch);
}
ATTUNE_CLONES void Head(const AttentionForward<c10::BFloat16>& w, const DropoutMask& mask, int64_t sequence, int64_t head, const Sizes& sizes, float* scratch) {
  ForwardHead(w, mask, sequence, head, sizes, scratch);
}
ATTUNE_CLONES void Head(const AttentionBackward<float>& w, const DropoutMask& mask, const float* zeros, int64_t sequence, int64_t head, const Sizes& sizes, float* scratch) {
  BackwardHead(w, mask, zeros, sequence, head, sizes, scratch);
}
ATTUNE_CLONES void Head(const AttentionBackward<c10::BFloat16>& w, const DropoutMask& mask, const float* zeros, int64_t sequence, int64_t head, const Sizes& sizes,
                        float* scratch) {
  BackwardHead(w, mask, zeros, sequence, head, sizes, scratch);
}

// Calls work(sequence, head, scratch) for all, long sequences first: threads take the next one when they are done, and each writes its own part of the outputs.
template <class Work>
void ForSequencesAndHeads(int64_t sequences, int64_t heads, int64_t scratch_floats, const Work& work) {
  const int64_t tasks = sequences * heads;
  std::atomic<int64_t> next{0};
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), tasks);
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    Scratch scratch(scratch_floats);
    for (int64_t task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) work(sequences - 1 - task / heads, task % heads, scratch.data());
  });
}

template <class G>
void RunForward(const AttentionForward<G>& work) {
  const DropoutMask mask(work.in.dropout);
  const Sizes sizes = SizesOf(work.in);
  const int64_t floats = 2 * sizes.keys * sizes.width + 2 * kBlockRows * sizes.width + kBlockRows * sizes.keys + sizes.keys;
  ForSequencesAndHeads(work.in.sequence_count, work.in.heads, floats,
                       [&](int64_t sequence, int64_t head, float* scratch) { Head(work, mask, sequence, head, sizes, scratch); });
}

template <class G>
void RunBackward(const AttentionBackward<G>& work) {
  const DropoutMask mask(work.in.dropout);
  const Sizes sizes = SizesOf(work.in);
  const int64_t floats = 5 * sizes.keys * sizes.width + 3 * kBlockRows * sizes.width + 2 * kBlockRows * sizes.keys + sizes.keys;
  const std::unique_ptr<float[]> zeros(new float[work.in.head_size]());
  ForSequencesAndHeads(work.in.sequence_count, work.in.heads, floats,
                       [&](int64_t sequence, int64_t head, float* scratch) { Head(work, mask, zeros.get(), sequence, head, sizes, scratch); });
}

}  // namespace

void Run(const AttentionForward<float>& work) { RunForward(work); }
void Run(const AttentionForward<c10::BFloat16>& work) { RunForward(work); }
void Run(const AttentionBackward<float>& work) { RunBackward(work); }
void Run(const AttentionBackward<c10::BFloat16>& work) { RunBackward(work); }

}  // namespace attune::training::cpu
