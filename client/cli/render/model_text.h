// Models, architectures and layers for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/model.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

std::string ModelTable(const std::vector<v1::Model>& models, absl::Time now, const Style& style);
std::string ModelDetails(const v1::Model& model, const Style& style);
// Parameters by layer group; with patterns, what each pattern matches instead.
std::string LayerTable(const v1::DescribeLayersResponse& layers, const Style& style);
std::string ArchitectureTable(const v1::ListArchitecturesResponse& architectures, const Style& style);

}  // namespace attune::cli
