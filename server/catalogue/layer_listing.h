// The answer to DescribeLayers. Pure; thread-safe.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "absl/status/statusor.h"
#include "attune/v1/model.pb.h"
#include "server/architectures/architecture.h"

namespace attune::catalogue {

// Parameters in model order, and what each pattern matches. A pattern may be written with the architecture's prefix or
// without. INVALID_ARGUMENT naming "patterns[i]" when one is not a pattern.
absl::StatusOr<v1::DescribeLayersResponse> ListLayers(const architectures::ModelLayout& layout, const std::string& prefix,
                                                      const google::protobuf::RepeatedPtrField<std::string>& patterns);

}  // namespace attune::catalogue
