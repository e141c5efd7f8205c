// How rows become batches. Batch b of epoch e is a pure function of (seed, e, b): it does not depend on the thread that makes it, on what was made before, or on
// whether the run was resumed. Batches are random as in transformers' Trainer (no grouping by length); only inside a batch rows are sorted by length.
//
//   TextBatches batches(train, {.batch_size = 32, .seed = 42}, [&](const auto& examples) { return task->Targets(examples); });
//   TextBatch batch = batches.Make(/*epoch=*/0, /*batch=*/3);
//
// Thread-safe. Throws as TextDataset does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "server/training/input/text_batch.h"
#include "server/training/input/text_dataset.h"

namespace attune::training {

// Packs texts into one batch: sorted by length (stable), runs of equal length, positions from 0. example_indices are positions in `texts` unless
// `indices` (of the same size) is given. Targets stay undefined. Throws std::invalid_argument when there are no texts.
TextBatch PackTexts(const std::vector<TokenizedText>& texts, const std::vector<int64_t>* indices = nullptr);

// A batch with its tensors on `device`; a no-op on the CPU.
TextBatch ToDevice(const TextBatch& batch, const at::Device& device);

struct TextBatchesOptions {
  int64_t batch_size = 32;
  uint64_t seed = 42;
  bool shuffle = true;  // false: rows in order, for evaluation; every epoch is the same
};

// Makes the targets of a batch from its examples, in batch order. Called on loader threads.
using TargetFunction = std::function<at::Tensor(const std::vector<const examples::Example*>&)>;

class TextBatches {
 public:
  TextBatches(std::shared_ptr<const TextDataset> dataset, const TextBatchesOptions& options, TargetFunction targets);
  // The last one may be smaller.
  int64_t batches_per_epoch() const;
  TextBatch Make(int64_t epoch, int64_t batch) const;

 private:
  std::shared_ptr<const std::vector<int64_t>> Order(int64_t epoch) const;

  const std::shared_ptr<const TextDataset> dataset_;
  const TextBatchesOptions options_;
  const TargetFunction targets_;
  mutable std::mutex mutex_;
  mutable int64_t cached_epoch_ = -1;                                  // guarded by mutex_
  mutable std::shared_ptr<const std::vector<int64_t>> cached_order_;  // guarded by mutex_
};

}  // namespace attune::training
