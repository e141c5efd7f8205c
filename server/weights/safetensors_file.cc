#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/weights/safetensors.h"
#include "server/weights/safetensors_header.h"

namespace attune::weights {
namespace {

constexpr int64_t kLengthBytes = 8;  // u64 little-endian: the header's length

// Where the header ends, checked against the file's size.
absl::StatusOr<int64_t> HeaderEnd(std::string_view file) {
  const int64_t size = static_cast<int64_t>(file.size());
  if (size < kLengthBytes) {
    return absl::InvalidArgumentError(
        StrCat("the file has ", size, " bytes and a safetensors file at least 10; is it complete?"));
  }
  uint64_t length;
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > static_cast<uint64_t>(kMaxHeaderBytes)) {
    return absl::InvalidArgumentError(StrCat("the header claims ", length, " bytes, more than the format's ",
                                             kMaxHeaderBytes, "; is it a safetensors file?"));
  }
  if (static_cast<int64_t>(length) > size - kLengthBytes) {
    return absl::InvalidArgumentError(StrCat("the header claims ", length, " bytes, but only ", size - kLengthBytes,
                                             " follow; is the file complete?"));
  }
  return kLengthBytes + static_cast<int64_t>(length);
}

// Index of the first value whose exponent is all ones (NaN or infinity), or -1. Values may be unaligned.
template <typename Bits>
int64_t FindNonFinite(std::string_view data, Bits exponent) {
  constexpr size_t kBlock = 1024;
  const size_t count = data.size() / sizeof(Bits);
  for (size_t start = 0; start < count; start += kBlock) {
    const size_t end = std::min(count, start + kBlock);
    // Branch-free, so that the compiler can use vectors; the position is looked for only once there is something to
    // find.
    unsigned found = 0;
    for (size_t i = start; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, data.data() + i * sizeof(Bits), sizeof(Bits));
      found |= (bits & exponent) == exponent;
    }
    if (found == 0) continue;
    for (size_t i = start; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, data.data() + i * sizeof(Bits), sizeof(Bits));
      if ((bits & exponent) == exponent) return static_cast<int64_t>(i);
    }
  }
  return -1;
}

int64_t FindNonFinite(DType dtype, std::string_view data) {
  switch (dtype) {
    case DType::kF64:
      return FindNonFinite<uint64_t>(data, 0x7ff0000000000000u);
    case DType::kF32:
      return FindNonFinite<uint32_t>(data, 0x7f800000u);
    case DType::kF16:
      return FindNonFinite<uint16_t>(data, 0x7c00u);
    case DType::kBF16:
      return FindNonFinite<uint16_t>(data, 0x7f80u);
    default:
      return -1;
  }
}

absl::Status Named(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> mapping, MappedFile::Open(path));
  const std::string_view content = mapping->view();
  absl::StatusOr<int64_t> header_end = HeaderEnd(content);
  if (!header_end.ok()) return Named(path, header_end.status());
  absl::StatusOr<SafetensorsHeader> header =
      ParseSafetensorsHeader(content.substr(kLengthBytes, static_cast<size_t>(*header_end - kLengthBytes)));
  if (!header.ok()) return Named(path, header.status());
  absl::Status layout = CheckLayout(header->tensors, static_cast<int64_t>(content.size()) - *header_end);
  if (!layout.ok()) return Named(path, layout);

  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = path;
  file->mapping_ = std::move(mapping);
  file->data_section_ = content.substr(static_cast<size_t>(*header_end));
  file->tensors_ = std::move(header->tensors);
  file->metadata_ = std::move(header->metadata);
  for (size_t i = 0; i < file->tensors_.size(); ++i) file->index_.emplace(file->tensors_[i].name, i);
  return std::shared_ptr<const SafetensorsFile>(std::move(file));
}

const TensorInfo* SafetensorsFile::Find(std::string_view name) const {
  auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::string_view SafetensorsFile::data(const TensorInfo& info) const {
  return data_section_.substr(static_cast<size_t>(info.begin), static_cast<size_t>(info.end - info.begin));
}

void SafetensorsFile::GiveBack(std::string_view part) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGE_SIZE));
  const auto address = reinterpret_cast<uintptr_t>(part.data());
  const uintptr_t begin = (address + page - 1) / page * page, end = (address + part.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

absl::Status SafetensorsFile::CheckFinite() const {
  for (const TensorInfo& tensor : tensors_) {
    int64_t position = FindNonFinite(tensor.dtype, data(tensor));
    if (position < 0) continue;
    return absl::InvalidArgumentError(StrCat(path_, ": tensor ", QuotedName(tensor.name),
                                             " has NaN or infinity at element ", position,
                                             "; the weights are damaged, export them again"));
  }
  return absl::OkStatus();
}

}  // namespace attune::weights
