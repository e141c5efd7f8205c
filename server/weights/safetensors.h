// Safetensors (https://github.com/huggingface/safetensors, format 1) reader and writer without torch.
// Hostile input is expected: header size, JSON depth, duplicate names, shape products, offsets, overlaps, gaps and
// trailing bytes are all checked, in overflow-safe arithmetic, before any byte of data is looked at. Errors are
// INVALID_ARGUMENT and name file and tensor; a file that is not there is NOT_FOUND.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open("model.safetensors"));
//   const TensorInfo* info = file->Find("bert.pooler.dense.weight");
//   std::string_view bytes = file->data(*info);
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"

namespace attune::weights {

enum class DType { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };
const char* DTypeName(DType dtype);  // "F32", as in the format
int64_t DTypeSize(DType dtype);      // bytes of a value

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // empty for a scalar
  int64_t begin = 0;           // byte offsets into the data section
  int64_t end = 0;
  int64_t element_count() const;  // from the offsets, which a reader has checked against the shape
};

// A mapped, validated file. Immutable, thread-safe.
class SafetensorsFile {
 public:
  static absl::StatusOr<std::shared_ptr<const SafetensorsFile>> Open(const std::string& path);
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // by offset
  const TensorInfo* Find(std::string_view name) const;                 // null when absent
  std::string_view data(const TensorInfo& info) const;                 // end - begin bytes, maybe unaligned
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Pages that have been read count as the process's memory until the file is closed, a whole model's at the end of a
  // load: those of a part of data() no longer do. Reading it again is allowed, and costs what it did.
  static void GiveBack(std::string_view part);

  // INVALID_ARGUMENT naming the first tensor that has a NaN or infinity (floating types only). Reads everything.
  absl::Status CheckFinite() const;

 private:
  SafetensorsFile() = default;
  std::string path_;
  std::shared_ptr<const MappedFile> mapping_;
  std::string_view data_section_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
};

// A tensor to write; `data` must stay valid until Write returns, dense row-major.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string_view data;
};

// Writes the bytes that the Python library would write for the same order and one metadata entry. Tensors stand in the
// given order (data 8-byte aligned by header padding), syncs; not atomic: write into a directory that is renamed. Equal
// input gives equal bytes. INVALID_ARGUMENT for duplicate names, names that are not UTF-8 and data that does not fit
// dtype and shape. If `sha256` is not null it receives the hex digest of the file.
//
// kBypass is for large files: more spaces in the header put the data where tensors that lie one behind the other, from a
// multiple of kDirectAlignment on, can go past the page cache. Other tensors are written as with kUse.
enum class PageCache { kUse, kBypass };
absl::Status WriteSafetensors(Files& files, const std::string& path, const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata, std::string* sha256 = nullptr,
                              PageCache page_cache = PageCache::kUse);

}  // namespace attune::weights
