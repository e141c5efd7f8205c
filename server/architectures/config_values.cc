#include "server/architectures/config_values.h"

#include <string>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::architectures {
namespace {

constexpr size_t kMaxShown = 100;

// Null when the key is absent or its value is null.
const nlohmann::json* Find(const nlohmann::json& config, const char* key) {
  const auto it = config.find(key);
  return it == config.end() || it->is_null() ? nullptr : &*it;
}

bool RealInRange(const nlohmann::json& value, double low, double high) {
  return value.is_number() && value.get<double>() >= low && value.get<double>() <= high;
}

}  // namespace

bool IsInteger(const nlohmann::json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  // An unsigned value beyond int64 would wrap around when it is read as int64.
  if (value.is_number_unsigned())
    return value.get<uint64_t>() <= static_cast<uint64_t>(high) && value.get<int64_t>() >= low;
  return value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

absl::Status ConfigError(const char* key, const nlohmann::json& value, std::string_view allowed) {
  std::string shown = value.is_structured() ? StrCat("an ", value.type_name())
                                            : value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (shown.size() > kMaxShown) shown = StrCat(Utf8Prefix(shown, kMaxShown), "...");
  return absl::InvalidArgumentError(StrCat("config.json: ", key, " is ", shown, "; ", allowed));
}

absl::StatusOr<int64_t> ConfigInteger(const nlohmann::json& config, const char* key, int64_t fallback, int64_t low,
                                      int64_t high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  if (!IsInteger(*value, low, high))
    return ConfigError(key, *value, StrCat("it must be a whole number from ", low, " to ", high));
  return value->get<int64_t>();
}

absl::StatusOr<double> ConfigReal(const nlohmann::json& config, const char* key, double fallback, double low, double high) {
  ATTUNE_RETURN_IF_ERROR(CheckConfigReal(config, key, low, high));
  const nlohmann::json* value = Find(config, key);
  return value == nullptr ? fallback : value->get<double>();
}

absl::StatusOr<bool> ConfigBool(const nlohmann::json& config, const char* key, bool fallback) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return ConfigError(key, *value, "it must be true or false");
  return value->get<bool>();
}

absl::StatusOr<std::vector<double>> ConfigReals(const nlohmann::json& config, const char* key,
                                                const std::vector<double>& fallback, double low, double high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  bool good = value->is_array() && value->size() == fallback.size();
  for (size_t i = 0; good && i < value->size(); ++i) good = RealInRange((*value)[i], low, high);
  if (!good) {
    return ConfigError(key, *value, StrCat("it must be a list of ", fallback.size(), " numbers from ", low, " to ", high));
  }
  return value->get<std::vector<double>>();
}

absl::StatusOr<std::vector<int64_t>> ConfigIntegers(const nlohmann::json& config, const char* key,
                                                    const std::vector<int64_t>& fallback, int64_t low, int64_t high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  bool good = value->is_array() && value->size() == fallback.size();
  for (size_t i = 0; good && i < value->size(); ++i) good = IsInteger((*value)[i], low, high);
  if (!good) {
    return ConfigError(key, *value, StrCat("it must be a list of ", fallback.size(), " whole numbers from ", low, " to ", high));
  }
  return value->get<std::vector<int64_t>>();
}

absl::StatusOr<std::string> ConfigChoice(const nlohmann::json& config, const char* key, const std::string& fallback,
                                         const std::vector<std::string>& allowed) {
  ATTUNE_RETURN_IF_ERROR(CheckConfigChoice(config, key, allowed));
  const nlohmann::json* value = Find(config, key);
  return value == nullptr ? fallback : value->get<std::string>();
}

absl::Status CheckConfigReal(const nlohmann::json& config, const char* key, double low, double high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return absl::OkStatus();
  if (!RealInRange(*value, low, high)) {
    return ConfigError(key, *value, StrCat("it must be a number from ", low, " to ", high));
  }
  return absl::OkStatus();
}

absl::Status CheckConfigChoice(const nlohmann::json& config, const char* key, const std::vector<std::string>& allowed) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return absl::OkStatus();
  std::string nearest;
  if (value->is_string()) {
    const auto& text = value->get_ref<const std::string&>();
    for (const std::string& one : allowed) {
      if (text == one) return absl::OkStatus();
    }
    nearest = Nearest(text.substr(0, kMaxShown), allowed);
  }
  return ConfigError(key, *value,
               StrCat("supported: ", absl::StrJoin(allowed, ", "),
                      nearest.empty() ? "" : StrCat("; did you mean ", nearest, "?")));
}

absl::Status CheckConfigFalse(const nlohmann::json& config, const char* key, std::string_view reason) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr || (value->is_boolean() && !value->get<bool>())) return absl::OkStatus();
  return ConfigError(key, *value, reason);
}

}  // namespace attune::architectures
