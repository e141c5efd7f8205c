// What the targets of row formats share: a file is read to its end, and every row judged as imports of each kind judge
// it.
#pragma once

#include <string_view>

#include "attune/v1/dataset.pb.h"

namespace attune::fuzz {

void ReadAllRows(v1::FileFormat format, std::string_view content);

}  // namespace attune::fuzz
