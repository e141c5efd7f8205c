// A batch in parts, for a device whose memory does not hold what a pass over all its rows needs. Pure.
//
//   for (int part = 0; part < parts; ++part) Train(PartOf(batch, part, parts));
#pragma once

#include <cstdint>

#include "server/training/input/batch.h"

namespace attune::training {

// Rows of the first dataset: all but those of a second one, where there is replay. So many parts a batch can have at most.
inline int64_t OwnRows(const Batch& batch) { return batch.rows - (batch.replay != nullptr ? batch.replay->rows : 0); }

// Part `part` of `parts`: rows in their order, about as many tokens in each (images: rows), at least one row of the first dataset. Rows of a second dataset are divided in the same way, and
// may be missing where there are few. Tensors are views of the batch's where rows are neighbours. `parts` is at least 1 and at most OwnRows.
Batch PartOf(const Batch& batch, int part, int parts);

}  // namespace attune::training
