// TextBatch: tokenised examples packed end to end, no padding anywhere: the text part of a Batch.
//
// Sequences are sorted by length (stable; where two batches were joined, within each), so that runs of equal length are contiguous slices: attention works on views,
// everything else on the packed tokens [T]. T = sum of lengths, B = sequences.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace attune::training {

struct LengthRun {
  int64_t first_sequence = 0;  // position in the batch
  int64_t first_token = 0;     // position in the packed tokens
  int64_t count = 0;           // sequences in the run
  int64_t length = 0;          // tokens of each
};

struct TextBatch {
  at::Tensor token_ids;     // [T] int64
  at::Tensor type_ids;      // [T] int64
  at::Tensor position_ids;  // [T] int64
  at::Tensor first_token;   // [B] int64: index of each sequence's first token ([CLS])
  std::vector<LengthRun> runs;
  std::vector<bool> truncated;           // [B]
  int64_t tokens = 0;
  int64_t sequences = 0;
};

}  // namespace attune::training
