#include "server/api/access/caller.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/api/validation.h"
#include "server/auth/auth_errors.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

absl::Status Violation(std::string_view field, const std::string& description) {
  RequestCheck check;
  check.Violate(field, description);
  return check.status();
}

}  // namespace

Caller::Caller() : identity_{.subject = "anonymous", .projects = {std::string(auth::kAllProjects)}, .scopes = {auth::Scope::kAdmin}} {}

bool Caller::HasAllProjects() const { return std::find(identity_.projects.begin(), identity_.projects.end(), auth::kAllProjects) != identity_.projects.end(); }

ProjectSet Caller::Own() const { return HasAllProjects() ? ProjectSet::All() : ProjectSet(identity_.projects); }

ProjectSet Caller::Visible() const {
  if (HasAllProjects()) return ProjectSet::All();
  std::vector<std::string> ids = identity_.projects;
  if (!Has(kSharedProject)) ids.emplace_back(kSharedProject);
  return ProjectSet(std::move(ids));
}

absl::StatusOr<std::string> Caller::ProjectForNew(const std::string& asked, std::string_view field) const {
  if (!asked.empty()) {
    if (absl::Status status = CheckResourceId(asked, field); !status.ok()) {
      return Violation(field, "is not the id of a project: use 1 to 63 of a-z, 0-9 and -, beginning with a letter");
    }
    ATTUNE_RETURN_IF_ERROR(auth::RequireProject(identity_, asked));
    return asked;
  }
  if (Has(kDefaultProject)) return std::string(kDefaultProject);
  if (identity_.projects.size() == 1) return identity_.projects[0];
  return Violation(field, StrCat("is required of a caller with several projects: one of ", absl::StrJoin(identity_.projects, ", ")));
}

absl::Status Caller::RequireAllProjects(std::string_view what) const {
  if (HasAllProjects()) return absl::OkStatus();
  return auth::PermissionDenied("PROJECT_DENIED", StrCat(what, " is for administrators of all projects (\"*\"); \"", identity_.subject, "\" has ", absl::StrJoin(identity_.projects, ", ")));
}

}  // namespace attune::api
