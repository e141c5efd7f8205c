// Projects: the tenants of a server. Each upload, dataset, model and job belongs to one, and callers see those of theirs (api/access). What belongs to kSharedProject may be read and used by
// everybody: base models that an operator imports once for all. Values and pure functions; thread-safe.
//
//   for (const Row& row : rows) if (projects.Has(row.project)) Show(row);
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/base/str_cat.h"

namespace attune {

inline constexpr std::string_view kDefaultProject = "default";  // of what names none
inline constexpr std::string_view kSharedProject = "shared";

inline std::string ProjectOrDefault(const std::string& project) { return project.empty() ? std::string(kDefaultProject) : project; }

class ProjectSet {
 public:
  static ProjectSet All() { return ProjectSet({}, true); }
  explicit ProjectSet(std::vector<std::string> ids) : ProjectSet(std::move(ids), false) {}

  bool all() const { return all_; }
  const std::vector<std::string>& ids() const { return ids_; }  // where not all
  bool Has(std::string_view project) const { return all_ || std::find(ids_.begin(), ids_.end(), project.empty() ? kDefaultProject : project) != ids_.end(); }

 private:
  ProjectSet(std::vector<std::string> ids, bool all) : ids_(std::move(ids)), all_(all) {}
  std::vector<std::string> ids_;
  bool all_;
};

// What a store knows a request_id by: two projects may choose the same one, and neither learns what the other's made. Ids of projects hold no ':'.
inline std::string ScopedRequestId(std::string_view project, std::string_view request_id) { return request_id.empty() ? "" : StrCat(project, ":", request_id); }
inline constexpr size_t kMaxScopedRequestIdBytes = 63 + 1 + 128;

}  // namespace attune
