// Checks a model's directory as a whole: config.json, weights, tokenizer, and that they belong together. Thread-safe.
// Errors are INVALID_ARGUMENT and name the file, not the directory. Reads all weights once (for NaN).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/catalogue/architectures/architecture.h"

namespace attune::catalogue {

struct ModelConfig {
  const Architecture* architecture = nullptr;
  ModelLayout layout;
};

// From config.json alone.
absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory);

struct ModelDescription {
  ModelConfig config;
  std::vector<std::string> ignored_tensors;
};

absl::StatusOr<ModelDescription> CheckModelDirectory(const std::string& directory);

}  // namespace attune::catalogue
