// Tensors to and from safetensors, to the bit: what resumes and reloads our own checkpoints. (Base models of others are read by LoadWeights in models/, which knows old
// names and other types.) Not thread-safe. Throws TrainingError: DATA when a file does not fit, RESOURCE or SYSTEM when it cannot be read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/weights/safetensors.h"

namespace attune::training {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // fp32; counters of BatchNorm int64
};

// Fills each tensor from the file's tensor of the same name. Every name must be there with the same shape and type (F32, I64); other tensors of the file are not looked at.
void LoadTensors(const std::vector<NamedTensor>& into, const std::string& path);

// A copy of tensors in the CPU's memory, to be written while training goes on. The memory is kept for the next capture.
//
//   snapshot.Capture(tensors);
//   weights::WriteSafetensors(files, path, snapshot.views(), {});
class Snapshot {
 public:
  // Overwrites what was captured before: nobody may be reading it.
  void Capture(const std::vector<NamedTensor>& tensors);
  // The same without a copy, where memory does not hold one: tensors must stay as they are while the views are read.
  void Borrow(const std::vector<NamedTensor>& tensors);
  const std::vector<weights::TensorView>& views() const { return views_; }

 private:
  at::Tensor buffer_;                 // bytes
  std::vector<at::Tensor> borrowed_;  // dense, in the CPU's memory
  std::vector<weights::TensorView> views_;
};

}  // namespace attune::training
