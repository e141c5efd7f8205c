// Compares a checkpoint's tensors with what the architecture and its config.json ask for. Pure but for the mapped file;
// thread-safe. Errors are INVALID_ARGUMENT; they name model.safetensors and the tensor.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/catalogue/architectures/architecture.h"
#include "server/weights/safetensors.h"

namespace attune::catalogue {

// Names, shapes and types; not the values. Returns the names (as in the file) of tensors that the architecture has no
// use for, buffers left out.
absl::StatusOr<std::vector<std::string>> CheckWeights(const weights::SafetensorsFile& file,
                                                      const Architecture& architecture, const ModelLayout& layout);

}  // namespace attune::catalogue
