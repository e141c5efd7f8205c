// Glob patterns over parameter names: * any characters (dots too), ? one, [0-3] or [abc] a set. A pattern matches whole
// names. Shared by the server's checks and the worker, so that both agree. Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace attune {

// INVALID_ARGUMENT for an empty pattern, an unclosed '[', an empty, negated ([!a], [^a]) or reversed ([3-0]) set.
absl::Status CheckGlob(std::string_view pattern);
bool GlobMatches(std::string_view pattern, std::string_view name);

}  // namespace attune
