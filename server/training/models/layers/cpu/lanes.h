// What the CPU kernels share: function clones for newer instruction sets, conversion of storage types, and elementary functions that compilers can
// vectorise. Internal to this folder.
//
// Kernels are loops over plain floats in always-inlined templates; a non-template function marked ATTUNE_CLONES instantiates each. The loader picks the clone for
// the machine, so one binary runs everywhere and is fast on AVX2 and AVX-512.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <c10/util/BFloat16.h>

// Sanitizers instrument the resolver of a clone, which runs before they are ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(ATTUNE_THREAD_SANITIZER)
#define ATTUNE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ATTUNE_CLONES
#endif
#define ATTUNE_INLINE [[gnu::always_inline]] inline

namespace attune::training::cpu {

ATTUNE_INLINE float Load(const float* p) { return *p; }
ATTUNE_INLINE void Store(float* p, float value) { *p = value; }

// bf16 is the upper half of an fp32; stores round to nearest even.
ATTUNE_INLINE float Load(const c10::BFloat16* p) { return std::bit_cast<float>(static_cast<uint32_t>(p->x) << 16); }
ATTUNE_INLINE void Store(c10::BFloat16* p, float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  p->x = static_cast<uint16_t>(value == value ? rounded : 0x7FC0u);
}

// e^x to about 1 ulp for x <= 88; 0 below -87.3 (Cephes' expf).
ATTUNE_INLINE float Exp(float x) {
  x = x < -87.3f ? -87.3f : (x > 88.0f ? 88.0f : x);
  const float shifted = x * 1.44269504f + 12582912.0f;  // adding 1.5 * 2^23 leaves the nearest integer in the low bits
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) + 127u) << 23;
  return p * std::bit_cast<float>(exponent);
}

// erf(x) to a few ulp: the rational approximation that XLA and Eigen use.
ATTUNE_INLINE float Erf(float x) {
  x = x < -4.0f ? -4.0f : (x > 4.0f ? 4.0f : x);
  const float s = x * x;
  float a = -2.72614225801306e-10f;
  a = a * s + 2.77068142495902e-08f;
  a = a * s + -2.10102402082508e-06f;
  a = a * s + -5.69250639462346e-05f;
  a = a * s + -7.34990630326855e-04f;
  a = a * s + -2.95459980854025e-03f;
  a = a * s + -1.60960333262415e-02f;
  float b = -1.45660718464996e-05f;
  b = b * s + -2.13374055278905e-04f;
  b = b * s + -1.68282697438203e-03f;
  b = b * s + -7.37332916720468e-03f;
  b = b * s + -1.42647390514189e-02f;
  return x * a / b;
}

}  // namespace attune::training::cpu
