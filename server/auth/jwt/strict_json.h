// JSON from strangers: one object, small, shallow, in which no name comes twice (RFC 8725, section 2.4: two parsers that keep different ones of two "iss" see two tokens). Pure.
//
//   ATTUNE_ASSIGN_OR_RETURN(nlohmann::json header, ParseStrictObject(text));
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace attune::auth {

// INVALID_ARGUMENT, which says what is wrong without repeating the text: no JSON object, more than `max_depth` levels, or a name twice in one object. The caller bounds the size.
absl::StatusOr<nlohmann::json> ParseStrictObject(std::string_view text, int max_depth = 8);

}  // namespace attune::auth
