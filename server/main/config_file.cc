#include "server/main/config_file.h"

#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/base/files.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/main/option_keys.h"
#include "yaml-cpp/yaml.h"

namespace attune {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;

// Reads one map and collects every fault in it, so that a user mends all at once.
class ConfigReader {
 public:
  ConfigReader(std::string_view shown_path, ServerOptions& options) : shown_path_(shown_path), options_(options) {}

  absl::Status Read(const YAML::Node& root) {
    if (root.IsNull()) return absl::OkStatus();  // an empty file
    if (!root.IsMap()) {
      Fault(root, "the file must hold keys and values, such as \"job_slots: 2\"");
      return Result();
    }
    for (const auto& entry : root) ReadEntry(entry.first, entry.second);
    return Result();
  }

 private:
  void ReadEntry(const YAML::Node& key_node, const YAML::Node& value) {
    if (!key_node.IsScalar()) return Fault(key_node, "a key must be a word");
    const std::string& name = key_node.Scalar();
    const OptionKey* key = FindOption(name);
    if (key == nullptr) return Fault(key_node, UnknownKey(name));
    auto [first, inserted] = lines_.try_emplace(name, key_node.Mark().line + 1);
    if (!inserted) return Fault(key_node, StrCat(name, " is here twice, first on line ", first->second, "; keep one"));
    if (value.IsNull()) return Fault(key_node, StrCat(name, " has no value; give one, or take the line out for the default"));
    if (!value.IsScalar()) return Fault(value, StrCat(name, " must be a single value; got a ", value.IsMap() ? "map" : "list"));
    absl::Status status = SetOption(*key, name, value.Scalar(), options_);
    if (!status.ok()) Fault(value, std::string(status.message()));
  }

  static std::string UnknownKey(const std::string& name) {
    std::vector<std::string> names;
    for (const OptionKey& key : OptionKeys()) names.push_back(key.name);
    std::string nearest = Nearest(name, names);
    std::string hint = nearest.empty() ? StrCat("the keys are ", absl::StrJoin(names, ", ")) : StrCat("did you mean \"", nearest, "\"?");
    return StrCat("unknown key \"", name, "\"; ", hint);
  }

  void Fault(const YAML::Node& where, std::string_view what) {
    faults_.push_back(StrCat(shown_path_, ":", where.Mark().line + 1, ": ", what));
  }
  absl::Status Result() const {
    return faults_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(faults_, "\n"));
  }

  const std::string_view shown_path_;
  ServerOptions& options_;
  std::map<std::string, int> lines_;
  std::vector<std::string> faults_;
};

}  // namespace

absl::Status ApplyConfig(const std::string& yaml, std::string_view shown_path, ServerOptions& options) {
  // yaml-cpp reports malformed text by throwing; nothing else here does.
  try {
    return ConfigReader(shown_path, options).Read(YAML::Load(yaml));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(StrCat(shown_path, ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
  }
}

absl::Status ApplyConfigFile(const std::string& path, ServerOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(std::string yaml, ReadFile(path, kMaxFileBytes));
  return ApplyConfig(yaml, path, options);
}

}  // namespace attune
