// Tensors that tests make up, and the safetensors file of them: what the tiny models share. Header-only, torch-free.
//
//   std::vector<TinyTensor> tensors = {MakeTinyTensor("fc.bias", {2}, weights::DType::kF32, [] { return 0.5f; })};
//   ASSERT_TRUE(WriteTinyTensors(directory + "/model.safetensors", tensors).ok());
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/base/files.h"
#include "server/weights/safetensors.h"

namespace attune {

struct TinyTensor {
  std::string name;
  std::vector<int64_t> shape;
  weights::DType dtype = weights::DType::kF32;
  std::string bytes;
};

// One value in the bytes of `dtype` (F32, BF16 or F16); rounding is towards zero, values too small for F16 become 0.
inline void AppendTinyValue(float value, weights::DType dtype, std::string* bytes) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  if (dtype == weights::DType::kF32) {
    bytes->append(reinterpret_cast<const char*>(&bits), 4);
    return;
  }
  uint16_t half = static_cast<uint16_t>(bits >> 16);  // BF16
  if (dtype == weights::DType::kF16) {
    const int exponent = static_cast<int>((bits >> 23) & 0xff) - 127 + 15;
    half = static_cast<uint16_t>((bits >> 16) & 0x8000);
    if (exponent > 0) half = static_cast<uint16_t>(half | (exponent << 10) | ((bits >> 13) & 0x3ff));
  }
  bytes->append(reinterpret_cast<const char*>(&half), 2);
}

// `next` gives one value after another, row-major.
inline TinyTensor MakeTinyTensor(std::string name, std::vector<int64_t> shape, weights::DType dtype,
                                 const std::function<float()>& next) {
  TinyTensor tensor{std::move(name), std::move(shape), dtype, ""};
  int64_t count = 1;
  for (const int64_t size : tensor.shape) count *= size;
  for (int64_t i = 0; i < count; ++i) AppendTinyValue(next(), dtype, &tensor.bytes);
  return tensor;
}

inline absl::Status WriteTinyTensors(const std::string& path, const std::vector<TinyTensor>& tensors) {
  std::vector<weights::TensorView> views;
  for (const TinyTensor& tensor : tensors) views.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  return weights::WriteSafetensors(Files::Posix(), path, views, {{"format", "pt"}});
}

}  // namespace attune
