#include "server/training/models/layers/cpu/bias_activation.h"

#include "server/training/models/layers/cpu/lanes.h"
#include "server/training/models/layers/cpu/row_blocks.h"

namespace attune::training::cpu {
namespace {

constexpr float kInverseSqrt2 = 0.70710678118654752f;
constexpr float kInverseSqrt2Pi = 0.39894228040143268f;
constexpr float kSqrt2OverPi = 0.79788456080286536f;
constexpr float kGeluTanhCubic = 0.044715f;

ATTUNE_INLINE float Tanh(float x) { return 1.0f - 2.0f / (Exp(2.0f * x) + 1.0f); }
ATTUNE_INLINE float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// Each activation as a type, so that the loops below are compiled for each without a branch inside.
struct Gelu {
  ATTUNE_INLINE static float Value(float x) { return 0.5f * x * (1.0f + Erf(x * kInverseSqrt2)); }
  ATTUNE_INLINE static float Slope(float x) { return 0.5f * (1.0f + Erf(x * kInverseSqrt2)) + x * kInverseSqrt2Pi * Exp(-0.5f * x * x); }
};

struct GeluTanh {
  ATTUNE_INLINE static float Value(float x) { return 0.5f * x * (1.0f + Tanh(kSqrt2OverPi * (x + kGeluTanhCubic * x * x * x))); }
  ATTUNE_INLINE static float Slope(float x) {
    const float t = Tanh(kSqrt2OverPi * (x + kGeluTanhCubic * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * kSqrt2OverPi * (1.0f + 3.0f * kGeluTanhCubic * x * x);
  }
};

// Comparisons are written so that a NaN stays one.
struct Relu {
  ATTUNE_INLINE static float Value(float x) { return x < 0.0f ? 0.0f : x; }
  ATTUNE_INLINE static float Slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
};

struct Silu {
  ATTUNE_INLINE static float Value(float x) { return x * Sigmoid(x); }
  ATTUNE_INLINE static float Slope(float x) {
    const float s = Sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
  }
};

template <class A, class G>
ATTUNE_INLINE void ForwardRows(const BiasActivationForward<G>& w, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const G* input = w.input + i * w.width;
    G* output = w.output + i * w.width;
#pragma omp simd
    for (int64_t j = 0; j < w.width; ++j) Store(output + j, A::Value(Load(input + j) + w.bias[j]));
  }
}

template <class A, class G>
ATTUNE_INLINE void BackwardRows(const BiasActivationBackward<G>& w, int64_t begin, int64_t end, float* partial) {
  for (int64_t i = begin; i < end; ++i) {
    const G* input = w.input + i * w.width;
    G* grad = w.grad + i * w.width;
#pragma omp simd
    for (int64_t j = 0; j < w.width; ++j) {
      const float g = Load(grad + j) * A::Slope(Load(input + j) + w.bias[j]);
      partial[j] += g;
      Store(grad + j, g);
    }
  }
}

template <class G>
ATTUNE_INLINE void ForwardRows(const BiasActivationForward<G>& w, int64_t begin, int64_t end) {
  switch (w.activation) {
    case Activation::kGelu:
      return ForwardRows<Gelu>(w, begin, end);
    case Activation::kGeluTanh:
      return ForwardRows<GeluTanh>(w, begin, end);
    case Activation::kRelu:
      return ForwardRows<Relu>(w, begin, end);
    case Activation::kSilu:
      return ForwardRows<Silu>(w, begin, end);
  }
}

template <class G>
ATTUNE_INLINE void BackwardRows(const BiasActivationBackward<G>& w, int64_t begin, int64_t end, float* partial) {
  switch (w.activation) {
    case Activation::kGelu:
      return BackwardRows<Gelu>(w, begin, end, partial);
    case Activation::kGeluTanh:
      return BackwardRows<GeluTanh>(w, begin, end, partial);
    case Activation::kRelu:
      return BackwardRows<Relu>(w, begin, end, partial);
    case Activation::kSilu:
      return BackwardRows<Silu>(w, begin, end, partial);
  }
}

ATTUNE_CLONES void Rows(const BiasActivationForward<float>& w, int64_t begin, int64_t end) { ForwardRows(w, begin, end); }
ATTUNE_CLONES void Rows(const BiasActivationForward<c10::BFloat16>& w, int64_t begin, int64_t end) { ForwardRows(w, begin, end); }
ATTUNE_CLONES void Rows(const BiasActivationBackward<float>& w, int64_t begin, int64_t end, float* partial) { BackwardRows(w, begin, end, partial); }
ATTUNE_CLONES void Rows(const BiasActivationBackward<c10::BFloat16>& w, int64_t begin, int64_t end, float* partial) { BackwardRows(w, begin, end, partial); }

template <class G>
void RunForward(const BiasActivationForward<G>& work) {
  ForRows(work.rows, work.width, [&](int64_t begin, int64_t end) { Rows(work, begin, end); });
}

template <class G>
void RunBackward(const BiasActivationBackward<G>& work) {
  SumOverRows(work.rows, work.width, work.grad_bias, [&](int64_t begin, int64_t end, float* partial) { Rows(work, begin, end, partial); });
}

}  // namespace

void Run(const BiasActivationForward<float>& work) { RunForward(work); }
void Run(const BiasActivationForward<c10::BFloat16>& work) { RunForward(work); }
void Run(const BiasActivationBackward<float>& work) { RunBackward(work); }
void Run(const BiasActivationBackward<c10::BFloat16>& work) { RunBackward(work); }

}  // namespace attune::training::cpu
