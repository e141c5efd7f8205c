// Turns errno into a Status, the same way everywhere: ENOSPC and EDQUOT are RESOURCE_EXHAUSTED, ENOENT is NOT_FOUND,
// others INTERNAL. Pure.
//
//   if (close(fd) != 0) return ErrnoStatus(errno, "close", path);   // "close /data/x: Input/output error"
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace attune {

absl::Status ErrnoStatus(int error, std::string_view action, std::string_view path);

}  // namespace attune
