// The header of a safetensors file: a JSON object of tensors, and the layout that it describes. Pure: tables test it.
// For this folder only. The JSON is read as a stream and stopped at the first fault, so that hostile input costs no
// more than its own size. Errors are INVALID_ARGUMENT and name the tensor, not the file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/weights/safetensors.h"

namespace attune::weights {

inline constexpr int64_t kMaxHeaderBytes = 100'000'000;  // as in the format's own implementation
inline constexpr size_t kMaxRank = 64;                   // as in torch
inline constexpr char kMetadataKey[] = "__metadata__";

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json);

// Sorts `tensors` by offset and checks that each has the size that its dtype and shape need, and that together they
// fill a data section of `data_bytes` without overlap, gap or rest.
absl::Status CheckLayout(std::vector<TensorInfo>& tensors, int64_t data_bytes);

// Bytes of a dense tensor; nothing when a dimension is negative or the product does not fit in 63 bits.
std::optional<int64_t> TensorBytes(DType dtype, const std::vector<int64_t>& shape);

std::optional<DType> DTypeFromName(std::string_view name);

// A tensor's name as messages show it: quoted, escaped, shortened.
std::string QuotedName(std::string_view name);

}  // namespace attune::weights
