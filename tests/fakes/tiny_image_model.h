// A tiny image model with seeded random weights, written as the directory that one imports: config.json and
// model.safetensors. A MobileNetV2 of a few channels unless the config says otherwise; of any registered image
// architecture. Names and shapes are those of the layout that the server checks and the engine trains (the architectures'
// own tests compare them with torchvision and transformers). Header-only, torch-free; needs attune_architectures.
//
//   TemporaryDirectory dir;
//   ASSERT_TRUE(WriteTinyImageModel(dir.path(), {.classes = 3}).ok());
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/architectures/architecture.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/weights/safetensors.h"
#include "tests/fakes/tiny_tensors.h"

namespace attune {

// About 40,000 values; its features are the 1280 that every MobileNetV2 of width 1 and below has.
inline nlohmann::ordered_json TinyImageConfig() {
  return {{"model_type", "mobilenet_v2"},
          {"width_mult", 0.25},
          {"inverted_residual_setting", {{1, 8, 1, 1}, {6, 8, 1, 2}, {6, 16, 2, 2}, {6, 32, 1, 2}}},
          {"image_size", 32},
          {"resize_size", 36}};
}

struct TinyImageModelOptions {
  nlohmann::ordered_json config = TinyImageConfig();
  int64_t classes = 0;                          // rows of the old head that comes along; 0: none
  int64_t features = 1280;                      // its columns
  weights::DType dtype = weights::DType::kF32;  // F32, BF16 or F16; counters are I64
  bool counters = true;                         // num_batches_tracked
  uint32_t seed = 1;
};

// What the config describes. It must be a good one.
inline const architectures::Architecture& TinyImageArchitecture(const TinyImageModelOptions& options) {
  return *architectures::ArchitectureRegistry::Get().Find(options.config.at("model_type").get<std::string>());
}
inline architectures::ModelLayout TinyImageLayout(const TinyImageModelOptions& options) {
  return *TinyImageArchitecture(options).describe(nlohmann::json(options.config));
}

// Uniform values around a centre, as wide as keeps signals of about their size from layer to layer (He et al. 2015).
inline TinyTensor TinyImageParameter(const architectures::ParameterShape& parameter, const std::string& prefix,
                                     weights::DType dtype, std::mt19937& random) {
  using architectures::Role;
  const bool is_one = parameter.role == Role::kNormWeight || parameter.role == Role::kLayerScale;
  const bool is_weight = parameter.role == Role::kLinearWeight || parameter.role == Role::kConvWeight;
  const float inputs = static_cast<float>(parameter.value_count()) / static_cast<float>(parameter.shape.front());
  const float width = is_weight ? std::sqrt(6.0f / inputs) : 0.04f;
  return MakeTinyTensor(prefix + parameter.name, parameter.shape, dtype, [&] {
    return (is_one ? 1.0f : 0.0f) + width * (static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
  });
}

inline TinyTensor TinyImageBuffer(const architectures::BufferShape& buffer, const std::string& prefix,
                                  weights::DType dtype, std::mt19937& random) {
  using Kind = architectures::BufferShape::Kind;
  if (buffer.kind == Kind::kBatchesTracked)
    return {prefix + buffer.name, buffer.shape, weights::DType::kI64, std::string(8, '\0')};
  const float centre = buffer.kind == Kind::kRunningVariance ? 1.0f : 0.0f;
  return MakeTinyTensor(prefix + buffer.name, buffer.shape, dtype, [&] {
    return centre + 0.04f * (static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
  });
}

// In the order in which they are written: parameters, buffers, head.
inline std::vector<TinyTensor> TinyImageTensors(const TinyImageModelOptions& options = {}) {
  using Kind = architectures::BufferShape::Kind;
  std::mt19937 random(options.seed);
  const architectures::Architecture& architecture = TinyImageArchitecture(options);
  const architectures::ModelLayout layout = TinyImageLayout(options);
  std::vector<TinyTensor> tensors;
  for (const auto& parameter : layout.parameters)
    tensors.push_back(TinyImageParameter(parameter, architecture.prefix, options.dtype, random));
  for (const auto& buffer : layout.buffers) {
    if (buffer.kind != Kind::kBatchesTracked || options.counters)
      tensors.push_back(TinyImageBuffer(buffer, architecture.prefix, options.dtype, random));
  }
  if (options.classes > 0) {
    const auto next = [&] { return static_cast<float>(random() % 2001) / 25000.0f - 0.04f; };
    tensors.push_back(
        MakeTinyTensor(architecture.head_name + ".weight", {options.classes, options.features}, options.dtype, next));
    tensors.push_back(MakeTinyTensor(architecture.head_name + ".bias", {options.classes}, options.dtype, next));
  }
  return tensors;
}

// Everything but the weights: name to content.
inline std::map<std::string, std::string> TinyImageTextFiles(const TinyImageModelOptions& options = {}) {
  return {{"config.json", options.config.dump(2)}};
}

inline absl::Status WriteTinyImageModel(const std::string& directory, const TinyImageModelOptions& options = {}) {
  ATTUNE_RETURN_IF_ERROR(Files::Posix().CreateDirectories(directory));
  for (const auto& [name, content] : TinyImageTextFiles(options)) {
    ATTUNE_RETURN_IF_ERROR(WriteFileAtomically(Files::Posix(), directory + "/" + name, content));
  }
  return WriteTinyTensors(directory + "/model.safetensors", TinyImageTensors(options));
}

}  // namespace attune
