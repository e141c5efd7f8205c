// Resource ids. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune {

// A new id: lower-case base32 of 80 random bits, prefixed by a letter so that it is a valid resource id ("j7k2...").
// Not guessable.
std::string NewId(char prefix);

// A 256-bit random secret as 64 hex digits (worker handshake).
std::string NewSecret();

// OK when `id` is 1 to 63 of [a-z0-9-], starting with a letter; INVALID_ARGUMENT that names `field` otherwise.
absl::Status CheckResourceId(std::string_view id, std::string_view field);

// Splits "datasets/abc" by collection "datasets" and returns "abc". INVALID_ARGUMENT when the name has another form.
absl::StatusOr<std::string> ParseResourceName(std::string_view name, std::string_view collection);

}  // namespace attune
