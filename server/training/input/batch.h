// Batch: what one forward pass takes, of texts or of images. Plain tensors; made on loader threads, used by the training thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/input/text_batch.h"

namespace attune::training {

struct Batch {
  int64_t rows = 0;                      // B
  std::vector<int64_t> example_indices;  // [B] index in the split (or request), in batch order
  at::Tensor targets;                    // single label [B] int64; multi-label [B, C] float; regression [B] float; undefined for prediction

  TextBatch text;                        // text models: packed tokens
  at::Tensor pixels;                     // image models: [B, 3, S, S] float, normalised

  // In place of text or pixels, where a frozen prefix's output is already known: that of the model's first `prefix_groups` groups, [B, ...] float.
  at::Tensor prefix_output;
  int prefix_groups = 0;

  // Mixup and CutMix: each row is a mixture of two examples. The loss is mix * loss(targets) + (1 - mix) * loss(mixed_targets).
  at::Tensor mixed_targets;              // as targets; undefined: nothing is mixed
  double mix = 1;

  // Replay: the last rows are of a second dataset. This has their number, targets and mixture, and nothing else; targets and mixture above are of the rows before. Null: none.
  std::shared_ptr<const Batch> replay;
};

// A batch with its tensors on `device`; a no-op on the CPU.
Batch ToDevice(const Batch& batch, const at::Device& device);

// Where batches come from. Batch b of epoch e is a pure function of (seed, e, b): it does not depend on the thread that makes it, on what was made before, or on
// whether the run was resumed. Thread-safe.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t batches_per_epoch() const = 0;  // the last one may be smaller
  virtual Batch Make(int64_t epoch, int64_t batch) const = 0;
};

}  // namespace attune::training
