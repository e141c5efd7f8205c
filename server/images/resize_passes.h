// The two inner loops of a resize, once for any processor and once for AVX2; both give the same bits. Thread-safe, pure.
//
//   const ResizePasses& passes = FastestPasses();
//   passes.horizontal(rows, row_bytes, width, row_count, taps, narrow);
//   passes.vertical(narrow, 3 * taps.outputs(), vertical_taps, out);
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/images/resize_taps.h"

namespace attune::images {

struct ResizePasses {
  // `rows` rows of `width` RGB pixels, `stride` bytes apart, become rows of taps.outputs() pixels without gaps.
  void (*horizontal)(const uint8_t* source, size_t stride, int width, int rows, const Taps& taps, uint8_t* target);
  // Rows of `row_bytes` without gaps, of which the first is input taps.first_input(), become taps.outputs() rows.
  void (*vertical)(const uint8_t* source, size_t row_bytes, const Taps& taps, uint8_t* target);
};

const ResizePasses& PortablePasses();
// Null where the processor lacks AVX2.
const ResizePasses* Avx2Passes();
const ResizePasses& FastestPasses();

}  // namespace attune::images
