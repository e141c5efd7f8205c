// Batches of texts: tokenised, packed, sorted by length inside a batch (but random as in transformers' Trainer: no grouping by length).
//
//   TextBatches batches(train, {.rows = train->size(), .batch_size = 32, .seed = 42}, [&](const auto& examples) { return task->Targets(examples); });
//   Batch batch = batches.Make(/*epoch=*/0, /*batch=*/3);
//
// Thread-safe. Throws as TextDataset does.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/training/input/batch.h"
#include "server/training/input/batch_rows.h"
#include "server/training/input/targets.h"
#include "server/training/input/text_dataset.h"

namespace attune::training {

// Packs texts into one batch: sorted by length (stable), runs of equal length, positions from 0. example_indices are positions in `texts` unless
// `indices` (of the same size) is given. Targets stay undefined. Throws std::invalid_argument when there are no texts.
Batch PackTexts(const std::vector<TokenizedText>& texts, const std::vector<int64_t>* indices = nullptr);

class TextBatches : public BatchSource {
 public:
  TextBatches(std::shared_ptr<const TextDataset> dataset, const BatchRowsOptions& rows, TargetFunction targets);
  int64_t batches_per_epoch() const override { return rows_.batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t batch) const override;

 private:
  const std::shared_ptr<const TextDataset> dataset_;
  const BatchRows rows_;
  const TargetFunction targets_;
};

}  // namespace attune::training
