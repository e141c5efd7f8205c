// When memory runs out: telling it from other failures, and doing with less. Each exception type of the allocators is known here alone.
//
//   int parts = 1;
//   at::Tensor features = RunInParts(batch, parts, [&](const Batch& part) { return model.Forward(part, mode).features; });
#pragma once

#include <exception>
#include <functional>

#include <ATen/core/Tensor.h>

#include "server/training/input/batch.h"

namespace attune::training {

// Whether an allocator (of the CPU, of a device, or operator new) threw it.
bool IsOutOfMemory(const std::exception& error);

// Gives memory that was freed back to the system, so that the next allocation need not fit into what is left of old ones.
void ReturnFreedMemory();

// Runs `run` on the batch's parts, one after the other, and joins what it returns ([rows, ...] each). Where memory runs out, begins again with twice as many parts, down to one row each;
// then it is passed on. `parts`: how many to begin with; afterwards how many it took. For forward passes without gradients.
at::Tensor RunInParts(const Batch& batch, int& parts, const std::function<at::Tensor(const Batch&)>& run);

}  // namespace attune::training
