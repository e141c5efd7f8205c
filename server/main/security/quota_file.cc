#include "server/main/security/quota_file.h"

#include <cmath>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "server/base/ids.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "yaml-cpp/yaml.h"

namespace attune {
namespace {

using Target = std::variant<double auth::QuotaLimits::*, int64_t auth::QuotaLimits::*>;

struct Key {
  std::string name;
  Target target;
};

const std::vector<Key>& Keys() {
  static const std::vector<Key>& keys = *new std::vector<Key>{
      {"requests_per_second", &auth::QuotaLimits::requests_per_second}, {"request_burst", &auth::QuotaLimits::request_burst}, {"uploads", &auth::QuotaLimits::uploads},
      {"watchers", &auth::QuotaLimits::watchers},                       {"stored_bytes", &auth::QuotaLimits::stored_bytes},   {"queued_jobs", &auth::QuotaLimits::queued_jobs},
      {"running_jobs", &auth::QuotaLimits::running_jobs}};
  return keys;
}

class QuotaReader {
 public:
  explicit QuotaReader(std::string_view shown_path) : shown_path_(shown_path) {}

  absl::StatusOr<auth::QuotaOptions> Read(const YAML::Node& root) {
    if (!root.IsMap()) {
      Fault(root, "the file must hold a map default, a map projects, or both");
      return Result();
    }
    for (const auto& entry : root) {
      const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (name == "default") {
        ReadLimits(entry.second, options_.limits);
      } else if (name == "projects") {
        ReadProjects(entry.second);
      } else {
        Fault(entry.first, StrCat("unknown key \"", name, "\"; the keys are default and projects"));
      }
    }
    // What a project does not say is as for all the others.
    return Result();
  }

 private:
  void ReadProjects(const YAML::Node& projects) {
    if (!projects.IsMap()) return Fault(projects, "projects must be a map of projects by id");
    for (const auto& entry : projects) {
      const std::string id = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (!CheckResourceId(id, "").ok()) {
        Fault(entry.first, StrCat("\"", id, "\" is not the id of a project: use 1 to 63 of a-z, 0-9 and -, beginning with a letter"));
      } else {
        ReadLimits(entry.second, options_.projects[id]);
      }
    }
  }

  void ReadLimits(const YAML::Node& node, auth::QuotaLimits& limits) {
    if (!node.IsMap()) return Fault(node, "limits must be a map such as {queued_jobs: 100}");
    for (const auto& entry : node) ReadLimit(entry.first, entry.second, limits);
  }

  void ReadLimit(const YAML::Node& key_node, const YAML::Node& value, auth::QuotaLimits& limits) {
    const std::string name = key_node.IsScalar() ? key_node.Scalar() : "";
    std::vector<std::string> names;
    for (const Key& key : Keys()) {
      names.push_back(key.name);
      if (key.name != name) continue;
      const std::string text = value.IsScalar() ? value.Scalar() : "";
      if (const auto* real = std::get_if<double auth::QuotaLimits::*>(&key.target)) {
        double number = 0;
        if (!absl::SimpleAtod(text, &number) || !std::isfinite(number) || number < 0 || number > 1e6) return Fault(value, StrCat(name, " must be a number from 0 to 1000000"));
        limits.*(*real) = number;
      } else {
        int64_t number = 0;
        if (!absl::SimpleAtoi(text, &number) || number < 0) return Fault(value, StrCat(name, " must be a whole number from 0 on"));
        limits.*std::get<int64_t auth::QuotaLimits::*>(key.target) = number;
      }
      return;
    }
    const std::string nearest = Nearest(name, names);
    Fault(key_node, StrCat("unknown limit \"", name, "\"; ", nearest.empty() ? StrCat("the limits are ", absl::StrJoin(names, ", ")) : StrCat("did you mean \"", nearest, "\"?")));
  }

  void Fault(const YAML::Node& where, std::string_view what) { faults_.push_back(StrCat(shown_path_, ":", where.Mark().line + 1, ": ", what)); }
  absl::StatusOr<auth::QuotaOptions> Result() const {
    if (!faults_.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults_, "\n"));
    return options_;
  }

  const std::string_view shown_path_;
  auth::QuotaOptions options_;
  std::vector<std::string> faults_;
};

}  // namespace

absl::StatusOr<auth::QuotaOptions> ParseQuotas(const std::string& yaml, std::string_view shown_path) {
  // yaml-cpp reports malformed text by throwing; nothing else here does.
  try {
    return QuotaReader(shown_path).Read(YAML::Load(yaml));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(StrCat(shown_path, ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
  }
}

}  // namespace attune
