#include "server/training/steps/tensor_io.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;
constexpr size_t kReadBytes = 16 << 20;
constexpr int64_t kHugePage = 2 << 20;
#ifndef MADV_POPULATE_WRITE
constexpr int MADV_POPULATE_WRITE = 23;  // <linux/mman.h>, since Linux 5.14
#endif

int64_t TotalBytes(const std::vector<NamedTensor>& tensors) {
  int64_t total = 0;
  for (const NamedTensor& named : tensors) total += static_cast<int64_t>(named.tensor.nbytes());
  return total;
}

// Past the caches: what is written here is not read soon, and its lines need not be fetched before they are overwritten, which memcpy leaves out for larger pieces only.
void StreamCopy(char* to, const char* from, int64_t bytes) {
#ifdef __SSE2__
  constexpr int64_t kLine = 64, kVector = 16;
  const int64_t head = std::min<int64_t>(bytes, (kVector - static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % kVector)) % kVector);
  std::memcpy(to, from, static_cast<size_t>(head));
  to += head, from += head, bytes -= head;
  for (; bytes >= kLine; to += kLine, from += kLine, bytes -= kLine) {
    __m128i line[kLine / kVector];
    std::memcpy(line, from, kLine);
    for (int i = 0; i < kLine / kVector; ++i) _mm_stream_si128(reinterpret_cast<__m128i*>(to) + i, line[i]);
  }
  _mm_sfence();
#endif
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

weights::DType TypeOf(const at::Tensor& tensor) { return tensor.scalar_type() == at::kLong ? weights::DType::kI64 : weights::DType::kF32; }

// Piece by piece, so that what is mapped stays small.
void CopyFrom(std::string_view bytes, char* to) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kReadBytes);
    std::memcpy(to, piece.data(), piece.size());
    weights::SafetensorsFile::GiveBack(piece);
    to += piece.size();
    bytes.remove_prefix(piece.size());
  }
}

void LoadOne(const NamedTensor& into, const weights::SafetensorsFile& file, const std::string& path) {
  const weights::TensorInfo* info = file.Find(into.name);
  if (info == nullptr) {
    throw TrainingError(FailureCategory::kData, absl::StrCat(path, " has no tensor ", into.name, "; it is not of this job's model and phase"));
  }
  const std::vector<int64_t> shape = into.tensor.sizes().vec();
  const weights::DType type = TypeOf(into.tensor);
  if (info->dtype != type || info->shape != shape) {
    throw TrainingError(FailureCategory::kData,
                        absl::StrCat(path, ": tensor ", into.name, " is ", weights::DTypeName(info->dtype), " [", absl::StrJoin(info->shape, ", "),
                                     "], but ", weights::DTypeName(type), " [", absl::StrJoin(shape, ", "), "] is needed"));
  }
  const std::string_view bytes = file.data(*info);
  at::Tensor target = into.tensor.detach();
  if (target.is_cpu() && target.is_contiguous()) {
    CopyFrom(bytes, static_cast<char*>(target.mutable_data_ptr()));
    return;
  }
  at::Tensor staging = at::empty(shape, at::TensorOptions().dtype(into.tensor.scalar_type()));
  CopyFrom(bytes, static_cast<char*>(staging.mutable_data_ptr()));
  target.copy_(staging);
}

}  // namespace

void LoadTensors(const std::vector<NamedTensor>& into, const std::string& path) {
  auto file = weights::SafetensorsFile::Open(path);
  ThrowIfError(file.status());
  at::NoGradGuard no_grad;
  for (const NamedTensor& tensor : into) LoadOne(tensor, **file, path);
}

char* HostBuffer::Reserve(int64_t bytes) {
  if (bytes <= bytes_) return data_;
  Release();
  const int64_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* data = mmap(nullptr, static_cast<size_t>(rounded), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  madvise(data, static_cast<size_t>(rounded), MADV_HUGEPAGE);  // where there are none, small ones do
  data_ = static_cast<char*>(data);
  bytes_ = rounded;
  return data_;
}

void HostBuffer::Populate() {
  if (bytes_ == 0 || madvise(data_, static_cast<size_t>(bytes_), MADV_POPULATE_WRITE) == 0) return;
  // Kernels before 5.14. Nothing that matters is there yet, or is written meanwhile.
  const long page = sysconf(_SC_PAGE_SIZE);
  for (int64_t at = 0; at < bytes_; at += page) static_cast<volatile char*>(data_)[at] = data_[at];
}

void HostBuffer::Release() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
  data_ = nullptr;
  bytes_ = 0;
}

void Snapshot::Reserve(const std::vector<NamedTensor>& tensors) { buffer_.Reserve(TotalBytes(tensors)); }

void Snapshot::Forget() {
  views_.clear();
  sources_.clear();
  pieces_.clear();
  taken_ = copied_ = 0;
  finished_ = true;
}

void Snapshot::Begin(const std::vector<NamedTensor>& tensors) {
  at::NoGradGuard no_grad;
  Forget();
  char* next = buffer_.Reserve(TotalBytes(tensors));
  for (const NamedTensor& named : tensors) {
    const int64_t bytes = static_cast<int64_t>(named.tensor.nbytes());
    if (!named.tensor.is_cpu() || named.moves_in_forward) {
      at::from_blob(next, named.tensor.sizes(), at::TensorOptions().dtype(named.tensor.scalar_type())).copy_(named.tensor.detach());
    } else {
      sources_.push_back(named.tensor.detach().contiguous());
      const char* from = static_cast<const char*>(sources_.back().const_data_ptr());
      for (int64_t done = 0; done < bytes; done += kPieceBytes) pieces_.push_back({next + done, from + done, std::min(kPieceBytes, bytes - done)});
    }
    views_.push_back({named.name, TypeOf(named.tensor), named.tensor.sizes().vec(), {next, static_cast<size_t>(bytes)}});
    next += bytes;
  }
  finished_ = pieces_.empty();
}

void Snapshot::Finish() {
  const size_t count = pieces_.size();
  for (size_t i = taken_++; i < count; i = taken_++) {
    StreamCopy(pieces_[i].to, pieces_[i].from, pieces_[i].bytes);
    if (++copied_ < count) continue;
    sources_.clear();  // else a phase's optimizer would live on here until the next checkpoint
    finished_ = true;
    finished_.notify_all();
  }
  finished_.wait(false);
}

void Snapshot::Borrow(const std::vector<NamedTensor>& tensors) {
  Forget();
  buffer_.Release();
  for (const NamedTensor& named : tensors) {
    sources_.push_back(named.tensor.detach().to(at::kCPU).contiguous());
    const at::Tensor& dense = sources_.back();
    views_.push_back({named.name, TypeOf(dense), dense.sizes().vec(), {static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()}});
  }
}

}  // namespace attune::training
