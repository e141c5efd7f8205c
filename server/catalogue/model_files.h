// Which files make a model, by name. Pure; thread-safe. Errors are INVALID_ARGUMENT and say what to do instead.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::catalogue {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kWeightsFile[] = "model.safetensors";
inline constexpr char kTokenizerFile[] = "tokenizer.json";

struct ModelFileRule {
  const char* name;
  bool required;
  bool is_json;       // must hold a JSON object
  int64_t max_bytes;  // 0: no limit of its own
};

const std::vector<ModelFileRule>& ModelFileRules();
const ModelFileRule* FindModelFileRule(std::string_view name);  // null when the name is not allowed

// Names allowed, no directory parts, none twice, all required ones there. `names` is in the order of the request;
// messages name "files[i].path".
absl::Status CheckModelFileNames(const std::vector<std::string>& names);

// INVALID_ARGUMENT when the file is larger than its rule allows.
absl::Status CheckModelFileSize(const ModelFileRule& rule, int64_t size_bytes);

// Reads a JSON object of at most `max_bytes` whose nesting is shallow: deep values cost stack wherever they are copied
// or printed later on.
absl::StatusOr<nlohmann::json> ReadJsonObject(const std::string& directory, std::string_view name, int64_t max_bytes);

}  // namespace attune::catalogue
