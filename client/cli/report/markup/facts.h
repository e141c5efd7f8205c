// Pairs of a name and a value as a small table; empty values are left out. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/cli/report/markup/html.h"

namespace attune::cli {

using Facts = std::vector<std::pair<std::string, std::string>>;

Html FactTable(const Facts& facts);

}  // namespace attune::cli
