#include "server/weights/safetensors_header.h"

namespace attune::weights {
namespace {

struct DTypeEntry {
  DType dtype;
  const char* name;
  int64_t size;
};
constexpr DTypeEntry kDTypes[] = {
    {DType::kF64, "F64", 8}, {DType::kF32, "F32", 4},   {DType::kF16, "F16", 2}, {DType::kBF16, "BF16", 2},
    {DType::kI64, "I64", 8}, {DType::kI32, "I32", 4},   {DType::kI16, "I16", 2}, {DType::kI8, "I8", 1},
    {DType::kU8, "U8", 1},   {DType::kBool, "BOOL", 1},
};

const DTypeEntry& EntryOf(DType dtype) {
  for (const DTypeEntry& entry : kDTypes) {
    if (entry.dtype == dtype) return entry;
  }
  return kDTypes[0];  // not reached: every enumerator is in the table
}

}  // namespace

const char* DTypeName(DType dtype) { return EntryOf(dtype).name; }
int64_t DTypeSize(DType dtype) { return EntryOf(dtype).size; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (const DTypeEntry& entry : kDTypes) {
    if (name == entry.name) return entry.dtype;
  }
  return std::nullopt;
}

std::optional<int64_t> TensorBytes(DType dtype, const std::vector<int64_t>& shape) {
  int64_t bytes = DTypeSize(dtype);
  for (int64_t dimension : shape) {
    // With a zero in the shape the product is 0 in any order, but a file that has one beside absurd dimensions is
    // refused all the same.
    if (dimension < 0 || __builtin_mul_overflow(bytes, dimension, &bytes)) return std::nullopt;
  }
  return bytes;
}

int64_t TensorInfo::element_count() const { return (end - begin) / DTypeSize(dtype); }

}  // namespace attune::weights
