// The passes for AVX2. A 23-bit weight does not fit a 16-bit lane, so it is split into weight = high * 2^15 + low: two multiply-adds of pairs then give what one 32-bit
// product for each tap would, to the bit (sums wrap alike), at a quarter of the cost.
#include "server/images/resize_passes.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include <cstring>
#include <vector>

namespace attune::images {
namespace {

#define ATTUNE_AVX2 __attribute__((target("avx2")))

constexpr int kLowBits = 15;
constexpr int32_t kLowMask = (1 << kLowBits) - 1;
constexpr int kOverread = 13;  // bytes behind the last pixel that a load of four taps may touch

int32_t LowPair(int32_t a, int32_t b) { return (a & kLowMask) | (b & kLowMask) << 16; }
int32_t HighPair(int32_t a, int32_t b) { return static_cast<int32_t>((static_cast<uint32_t>(a >> kLowBits) & 0xFFFF) | static_cast<uint32_t>(b >> kLowBits) << 16); }

// For every four taps: low halves of the taps 0 and 1, of 2 and 3, then the high halves.
std::vector<int32_t> PackFours(const Taps& taps) {
  std::vector<int32_t> packed(taps.weights.size());
  for (size_t i = 0; i < packed.size(); i += 4) {
    const int32_t* w = &taps.weights[i];
    packed[i] = LowPair(w[0], w[1]);
    packed[i + 1] = LowPair(w[2], w[3]);
    packed[i + 2] = HighPair(w[0], w[1]);
    packed[i + 3] = HighPair(w[2], w[3]);
  }
  return packed;
}

// high * 2^15 + low, rounded and brought to 8 bits (as 32-bit lanes).
ATTUNE_AVX2 inline __m256i Join(__m256i low, __m256i high) {
  const __m256i half = _mm256_set1_epi32(1 << (Taps::kPrecisionBits - 1));
  return _mm256_srai_epi32(_mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low), half), Taps::kPrecisionBits);
}

ATTUNE_AVX2 void HorizontalRow(const uint8_t* row, const Taps& taps, const std::vector<int32_t>& packed, uint8_t* target) {
  // Lane 0 takes the pixels 0 and 1 of four, lane 1 the pixels 2 and 3; in each, pairs of equal channels as 16-bit numbers.
  const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const __m256i lows = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1), highs = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
  const int outputs = taps.outputs();
  for (int i = 0; i < outputs; ++i) {
    const uint8_t* pixel = row + size_t{3} * taps.first[i];
    const int32_t* weights = packed.data() + static_cast<size_t>(i) * taps.stride;
    const int length = taps.length[i];
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (int k = 0; k < length; k += 4) {
      const __m256i four = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel + 3 * k)));
      const __m256i values = _mm256_shuffle_epi8(four, pairs);
      const __m256i weight = _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + k)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(values, _mm256_permutevar8x32_epi32(weight, lows)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(values, _mm256_permutevar8x32_epi32(weight, highs)));
    }
    // Both lanes hold parts of the same pixel.
    low = _mm256_add_epi32(low, _mm256_permute2x128_si256(low, low, 1));
    high = _mm256_add_epi32(high, _mm256_permute2x128_si256(high, high, 1));
    const __m256i joined = Join(low, high);
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(joined, joined), _mm256_setzero_si256());
    const int32_t rgb = _mm256_extract_epi32(bytes, 0);
    std::memcpy(target + 3 * i, &rgb, i + 1 < outputs ? 4 : 3);  // the fourth byte is overwritten by the next pixel
  }
}

ATTUNE_AVX2 void Avx2Horizontal(const uint8_t* source, size_t stride, int width, int rows, const Taps& taps, uint8_t* target) {
  const std::vector<int32_t> packed = PackFours(taps);
  const size_t row_bytes = size_t{3} * width, out_bytes = size_t{3} * taps.outputs();
  const uint8_t* end = source + stride * (rows - 1) + row_bytes;
  std::vector<uint8_t> padded(row_bytes + kOverread);
  for (int y = 0; y < rows; ++y, source += stride, target += out_bytes) {
    const bool may_overread = static_cast<size_t>(end - source) >= row_bytes + kOverread;
    if (!may_overread) std::memcpy(padded.data(), source, row_bytes);
    HorizontalRow(may_overread ? source : padded.data(), taps, packed, target);
  }
}

// 16 bytes of an output row: `row` points at their column in the first input.
ATTUNE_AVX2 inline __m128i VerticalSixteen(const uint8_t* row, size_t row_bytes, const int32_t* weights, int length) {
  __m256i low0 = _mm256_setzero_si256(), low1 = low0, high0 = low0, high1 = low0;
  for (int k = 0; k < length; k += 2) {
    const uint8_t* next = k + 1 < length ? row + row_bytes : row;  // of an odd count: its weight is 0
    const __m256i a = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
    const __m256i b = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(next)));
    const __m256i pairs0 = _mm256_unpacklo_epi16(a, b), pairs1 = _mm256_unpackhi_epi16(a, b);
    const __m256i low = _mm256_set1_epi32(LowPair(weights[k], weights[k + 1])), high = _mm256_set1_epi32(HighPair(weights[k], weights[k + 1]));
    low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(pairs0, low));
    low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(pairs1, low));
    high0 = _mm256_add_epi32(high0, _mm256_madd_epi16(pairs0, high));
    high1 = _mm256_add_epi32(high1, _mm256_madd_epi16(pairs1, high));
    row = next + row_bytes;
  }
  const __m256i words = _mm256_packs_epi32(Join(low0, high0), Join(low1, high1));
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0b1000));
}

ATTUNE_AVX2 void Avx2Vertical(const uint8_t* source, size_t row_bytes, const Taps& taps, uint8_t* target) {
  if (row_bytes < 16) return PortablePasses().vertical(source, row_bytes, taps, target);
  for (int i = 0; i < taps.outputs(); ++i, target += row_bytes) {
    const uint8_t* first = source + row_bytes * (taps.first[i] - taps.first_input());
    for (size_t x = 0; x < row_bytes; x += 16) {
      const size_t column = x + 16 <= row_bytes ? x : row_bytes - 16;  // the last sixteen overlap those before
      const __m128i bytes = VerticalSixteen(first + column, row_bytes, taps.weights_of(i), taps.length[i]);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(target + column), bytes);
    }
  }
}

}  // namespace

const ResizePasses* Avx2Passes() {
  static constexpr ResizePasses kPasses = {&Avx2Horizontal, &Avx2Vertical};
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  return has_avx2 ? &kPasses : nullptr;
}

}  // namespace attune::images

#else

namespace attune::images {

const ResizePasses* Avx2Passes() { return nullptr; }

}  // namespace attune::images

#endif
