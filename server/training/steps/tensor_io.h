// Tensors to and from safetensors, to the bit: what resumes and reloads our own checkpoints. (Base models of others are read by LoadWeights in models/, which knows old
// names and other types.) Not thread-safe. Throws TrainingError: DATA when a file does not fit, RESOURCE or SYSTEM when it cannot be read.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/weights/safetensors.h"

namespace attune::training {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // fp32; counters of BatchNorm int64
  bool moves_in_forward = false;  // running statistics do; all else changes with the optimizer's step
};

// Fills each tensor from the file's tensor of the same name. Every name must be there with the same shape and type (F32, I64); other tensors of the file are not looked at.
void LoadTensors(const std::vector<NamedTensor>& into, const std::string& path);

// Memory of the machine whose pages are there when they are asked for: large ones where the kernel has them. Grows, and keeps what it has. Not thread-safe. Throws std::bad_alloc.
class HostBuffer {
 public:
  HostBuffer() = default;
  ~HostBuffer() { Release(); }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  // At least so many bytes; what was there is lost when it grows. Of multiples of kDirectAlignment.
  char* Reserve(int64_t bytes);
  // Makes the kernel find the pages, which takes a second for a gigabyte and would else come with the first write to each. Any thread.
  void Populate();
  void Release();

 private:
  char* data_ = nullptr;
  int64_t bytes_ = 0;
};

// A copy of tensors in the CPU's memory, to be written while training goes on. The memory is kept for the next one. A forward and a backward pass only read what the
// optimizer's step changes: the copy is made beside them, by another thread.
//
//   snapshot.Reserve(tensors);                           // optional: so that the first copy need not wait for memory
//   std::thread([&] { snapshot.Populate(); });
//   snapshot.Begin(tensors);                             // copies what a forward pass changes, and what is not in the CPU's memory
//   std::thread([&] { snapshot.Finish(); weights::WriteSafetensors(files, path, snapshot.views(), {}); });
//   ...                                                  // forward, backward
//   snapshot.Finish();                                   // the tensors may change from here on
class Snapshot {
 public:
  void Reserve(const std::vector<NamedTensor>& tensors);
  void Populate() { buffer_.Populate(); }
  // Overwrites what was copied before: nobody may be reading it, or be in Finish. Throws std::bad_alloc, and what torch throws.
  void Begin(const std::vector<NamedTensor>& tensors);
  // Returns when all is copied. Several threads at once share the work.
  void Finish();
  // The same without a copy, where memory does not hold one: tensors must stay as they are while the views are read.
  void Borrow(const std::vector<NamedTensor>& tensors);
  const std::vector<weights::TensorView>& views() const { return views_; }

 private:
  struct Piece {
    char* to;
    const char* from;
    int64_t bytes;
  };
  void Forget();

  HostBuffer buffer_;
  std::vector<at::Tensor> sources_;  // dense, in the CPU's memory: of the pieces, until they are copied; or borrowed
  std::vector<Piece> pieces_;
  std::atomic<size_t> taken_ = 0, copied_ = 0;  // of pieces_
  std::atomic<bool> finished_ = true;
  std::vector<weights::TensorView> views_;
};

}  // namespace attune::training
