// The bottom of an encoder: dropout(LayerNorm(sum of embedding rows)), and its gradient with respect to that sum; and the addition of gradients to the rows of a table. Dense
// float matrices. Thread-safe; results do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "server/training/models/layers/cpu/dropout_site.h"

namespace attune::training::cpu {

inline constexpr int kEmbeddingTables = 3;

struct EmbeddingNormForward {
  int64_t rows = 0, width = 0;
  const float* tables[kEmbeddingTables] = {};
  const int64_t* indices[kEmbeddingTables] = {};  // [rows], each within its table
  const float* weight = nullptr;
  const float* shift = nullptr;
  float epsilon = 0;
  DropoutSite dropout;
  float* output = nullptr;
  float* sum = nullptr;
  float* mean = nullptr;   // [rows]
  float* scale = nullptr;  // [rows]
};

struct EmbeddingNormBackward {
  int64_t rows = 0, width = 0;
  const float* grad_output = nullptr;
  const float* sum = nullptr;
  const float* mean = nullptr;
  const float* scale = nullptr;
  const float* weight = nullptr;
  DropoutSite dropout;
  float* grad_sum = nullptr;
  float* grad_parameters = nullptr;  // [2, width]: of weight and shift
};

void Run(const EmbeddingNormForward& work);
void Run(const EmbeddingNormBackward& work);

// table[indices[i]] += rows[i] for each row, but for index `skipped` (-1: none).
void AddToRows(const float* rows, const int64_t* indices, int64_t count, int64_t width, int64_t skipped, float* table);

}  // namespace attune::training::cpu
