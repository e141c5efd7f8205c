#include "server/auth/jwt/strict_json.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace attune::auth {

absl::StatusOr<nlohmann::json> ParseStrictObject(std::string_view text, int max_depth) {
  bool twice = false, deep = false;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto look = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    // The depth of a start is that of what it opens in; of a key, that of its object's content.
    if (event == Event::object_start) names.emplace_back();
    if (event == Event::object_end && !names.empty()) names.pop_back();
    if (event == Event::key && !names.empty() && !names.back().insert(value.get<std::string>()).second) twice = true;
    if ((event == Event::object_start || event == Event::array_start) && depth >= max_depth) deep = true;
    return true;
  };
  nlohmann::json json = nlohmann::json::parse(text, look, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return absl::InvalidArgumentError("is not a JSON object");
  if (twice) return absl::InvalidArgumentError("has a name twice");
  if (deep) return absl::InvalidArgumentError("is nested too deeply");
  return json;
}

}  // namespace attune::auth
