// Bounded reading of config.json: what every architecture needs. A key that is absent or null is its default, as in
// transformers. Errors are INVALID_ARGUMENT and name key, value and what is allowed. Pure; thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(int64_t hidden, ConfigInteger(config, "hidden_size", 768, 1, 16384));
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::architectures {

inline constexpr double kMaxDropout = 0.999;  // with 1 nothing would be left

// Whether `value` is a whole number from `low` to `high`.
bool IsInteger(const nlohmann::json& value, int64_t low, int64_t high);

absl::StatusOr<int64_t> ConfigInteger(const nlohmann::json& config, const char* key, int64_t fallback, int64_t low,
                                      int64_t high);

absl::StatusOr<double> ConfigReal(const nlohmann::json& config, const char* key, double fallback, double low, double high);

absl::StatusOr<bool> ConfigBool(const nlohmann::json& config, const char* key, bool fallback);

// A list of exactly as many numbers as `fallback` has, each from `low` to `high`.
absl::StatusOr<std::vector<double>> ConfigReals(const nlohmann::json& config, const char* key,
                                                const std::vector<double>& fallback, double low, double high);

// A list of exactly as many whole numbers as `fallback` has, each from `low` to `high`.
absl::StatusOr<std::vector<int64_t>> ConfigIntegers(const nlohmann::json& config, const char* key,
                                                    const std::vector<int64_t>& fallback, int64_t low, int64_t high);

// One of `allowed`; an error names the nearest.
absl::StatusOr<std::string> ConfigChoice(const nlohmann::json& config, const char* key, const std::string& fallback,
                                         const std::vector<std::string>& allowed);

// "config.json: KEY is VALUE; ALLOWED": for values of a shape that only one architecture knows.
absl::Status ConfigError(const char* key, const nlohmann::json& value, std::string_view allowed);

absl::Status CheckConfigReal(const nlohmann::json& config, const char* key, double low, double high);

// Absent, null, or one of `allowed`; an error names the nearest.
absl::Status CheckConfigChoice(const nlohmann::json& config, const char* key, const std::vector<std::string>& allowed);

// Absent, null or false; `reason` ends the error.
absl::Status CheckConfigFalse(const nlohmann::json& config, const char* key, std::string_view reason);

}  // namespace attune::architectures
