// Multi-head attention over sequences of any lengths, one (sequence, head) at a time, with softmax, dropout and the biases of the projections inside. Nothing of
// size length x length leaves the cache: backward computes the weights again from log_sums, as FlashAttention (Dao et al. 2022) does.
//
// G is the type of matrix products (float or BFloat16); sums are float. Heads lie side by side in a row: head h takes columns h * head_size onwards. Thread-safe. The result does
// not depend on the number of threads.
#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

#include "server/training/models/layers/cpu/dropout_site.h"

namespace attune::training::cpu {

// Rows of the query matrix attend to rows of key and value. Four int64 without padding: a [N, 4] tensor holds N of them.
struct Sequence {
  int64_t first_query = 0, queries = 0, first_key = 0, keys = 0;
};

template <class G>
struct AttentionInputs {
  const Sequence* sequences = nullptr;
  int64_t sequence_count = 0;
  int64_t query_rows = 0;  // of all sequences
  int64_t heads = 0, head_size = 0;
  const G* query = nullptr;
  const G* key = nullptr;
  const G* value = nullptr;
  int64_t query_stride = 0, key_stride = 0;  // values between rows; value has key's
  const float* query_bias = nullptr;         // [heads * head_size]
  const float* key_bias = nullptr;
  const float* value_bias = nullptr;
  DropoutSite dropout;
};

template <class G>
struct AttentionForward {
  AttentionInputs<G> in;
  G* output = nullptr;        // [query_rows, heads * head_size], dense
  float* log_sums = nullptr;  // [heads, query_rows], for backward, or null
};

template <class G>
struct AttentionBackward {
  AttentionInputs<G> in;
  const G* grad_output = nullptr;  // [query_rows, heads * head_size], dense
  const float* log_sums = nullptr;
  G* grad_query = nullptr;  // rows query_stride apart
  G* grad_key = nullptr;    // rows key_stride apart, as grad_value
  G* grad_value = nullptr;
};

void Run(const AttentionForward<float>& work);
void Run(const AttentionForward<c10::BFloat16>& work);
void Run(const AttentionBackward<float>& work);
void Run(const AttentionBackward<c10::BFloat16>& work);

}  // namespace attune::training::cpu
