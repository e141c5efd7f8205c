// Checks a model's directory as a whole: config.json, weights, a text model's tokenizer, and that they belong together. Thread-safe.
// Errors are INVALID_ARGUMENT and name the file, not the directory. Reads all weights once (for NaN).
//
//   ATTUNE_ASSIGN_OR_RETURN(ModelDescription description, CheckModelDirectory(staging));
//   model.set_architecture(description.config.architecture->name);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/architectures/pooling.h"

namespace attune::catalogue {

struct ModelConfig {
  const architectures::Architecture* architecture = nullptr;
  architectures::ModelLayout layout;
};

// From config.json alone; the layout is that of a job whose head has this pooling.
absl::StatusOr<ModelConfig> ReadModelConfig(const std::string& directory, architectures::Pooling pooling = architectures::Pooling::kOwn);

struct ModelDescription {
  ModelConfig config;
  std::vector<std::string> ignored_tensors;
};

absl::StatusOr<ModelDescription> CheckModelDirectory(const std::string& directory);

}  // namespace attune::catalogue
