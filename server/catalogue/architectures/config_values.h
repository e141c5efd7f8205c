// Bounded reading of config.json: what every architecture needs. A key that is absent or null is its default, as in
// transformers. Errors are INVALID_ARGUMENT and name key, value and what is allowed. Pure; thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(int64_t hidden, ConfigInteger(config, "hidden_size", 768, 1, 16384));
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::catalogue {

absl::StatusOr<int64_t> ConfigInteger(const nlohmann::json& config, const char* key, int64_t fallback, int64_t low,
                                      int64_t high);

absl::Status CheckConfigReal(const nlohmann::json& config, const char* key, double low, double high);

// Absent, null, or one of `allowed`; an error names the nearest.
absl::Status CheckConfigChoice(const nlohmann::json& config, const char* key, const std::vector<std::string>& allowed);

// Absent, null or false; `reason` ends the error.
absl::Status CheckConfigFalse(const nlohmann::json& config, const char* key, std::string_view reason);

}  // namespace attune::catalogue
