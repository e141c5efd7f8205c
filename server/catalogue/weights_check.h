// Compares a checkpoint's tensors with what the architecture and its config.json ask for. Pure but for the mapped file;
// thread-safe. Errors are INVALID_ARGUMENT; they name model.safetensors and the tensor, and, where the file fits another
// architecture better, that one.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto file, weights::SafetensorsFile::Open(path));
//   ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> ignored, CheckWeights(*file, architecture, layout));
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/weights/safetensors.h"

namespace attune::catalogue {

// Names, shapes and types; not the values. A layer group whose parameters are optional may be missing, whole and with
// its buffers; a counter of batches always may. Returns the names (as in the file) of tensors that the architecture has
// no use for: an old head with however many classes is among them, what architectures call buffers (position_ids) is not.
absl::StatusOr<std::vector<std::string>> CheckWeights(const weights::SafetensorsFile& file,
                                                      const architectures::Architecture& architecture,
                                                      const architectures::ModelLayout& layout);

// Running variances are not negative: the square root of one would make every prediction NaN.
absl::Status CheckVariances(const weights::SafetensorsFile& file, const architectures::Architecture& architecture,
                            const architectures::ModelLayout& layout);

}  // namespace attune::catalogue
