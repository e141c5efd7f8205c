// Which files make a model, by name. Pure; thread-safe. Errors are INVALID_ARGUMENT and say what to do instead.
//
//   ATTUNE_RETURN_IF_ERROR(CheckModelFileNames({"config.json", "model.safetensors", "preprocessor_config.json"}));
//   ATTUNE_RETURN_IF_ERROR(CheckModelFilesFit(*config.architecture, names));  // once config.json has been read
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"

namespace attune::catalogue {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kWeightsFile[] = "model.safetensors";
inline constexpr char kTokenizerFile[] = "tokenizer.json";

struct ModelFileRule {
  const char* name;
  std::optional<architectures::Modality> only_of;  // absent: of every model
  bool required;                                   // of each model that it is for
  bool is_json;       // must hold a JSON object
  int64_t max_bytes;  // 0: no limit of its own
};

const std::vector<ModelFileRule>& ModelFileRules();
const ModelFileRule* FindModelFileRule(std::string_view name);  // null when the name is not allowed

// Names allowed, no directory parts, none twice, all there that every model needs. `names` is in the order of the
// request; messages name "files[i].path".
absl::Status CheckModelFileNames(const std::vector<std::string>& names);

// What one must read config.json for: no file of another modality is there, and none of the model's own is missing.
absl::Status CheckModelFilesFit(const architectures::Architecture& architecture, const std::vector<std::string>& names);

// INVALID_ARGUMENT when the file is larger than its rule allows.
absl::Status CheckModelFileSize(const ModelFileRule& rule, int64_t size_bytes);

// Reads a JSON object of at most `max_bytes` whose nesting is shallow: deep values cost stack wherever they are copied
// or printed later on.
absl::StatusOr<nlohmann::json> ReadJsonObject(const std::string& directory, std::string_view name, int64_t max_bytes);

}  // namespace attune::catalogue
