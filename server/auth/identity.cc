#include "server/auth/identity.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/auth/auth_errors.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr Scope kScopes[] = {Scope::kRead, Scope::kWrite, Scope::kAdmin};
constexpr size_t kMaxProjects = 100;

std::string ProjectsShown(const std::vector<std::string>& projects) {
  if (projects.empty()) return "none";
  constexpr size_t kShown = 5;
  std::vector<std::string> first(projects.begin(), projects.begin() + static_cast<std::ptrdiff_t>(std::min(projects.size(), kShown)));
  return StrCat(absl::StrJoin(first, ", "), projects.size() > kShown ? ", ..." : "");
}

}  // namespace

std::string_view ScopeName(Scope scope) {
  switch (scope) {
    case Scope::kRead:
      return "read";
    case Scope::kWrite:
      return "write";
    case Scope::kAdmin:
      return "admin";
  }
  return "admin";
}

absl::StatusOr<Scope> ParseScope(std::string_view name) {
  for (Scope scope : kScopes) {
    if (ScopeName(scope) == name) return scope;
  }
  return absl::InvalidArgumentError(StrCat("scopes: \"", absl::CHexEscape(AbslView(name.substr(0, 40))), "\" is not one of read, write, admin"));
}

std::string ScopesToText(ScopeSet scopes) {
  std::string text;
  for (Scope scope : kScopes) {
    if (scopes.Has(scope)) StrAppend(&text, text.empty() ? "" : ",", ScopeName(scope));
  }
  return text;
}

absl::StatusOr<ScopeSet> ParseScopes(std::string_view text) {
  ScopeSet scopes;
  for (absl::string_view name : absl::StrSplit(AbslView(text), ',', absl::SkipEmpty())) {
    ATTUNE_ASSIGN_OR_RETURN(Scope scope, ParseScope({name.data(), name.size()}));
    scopes.Add(scope);
  }
  return scopes;
}

std::string_view KindName(IdentityKind kind) {
  switch (kind) {
    case IdentityKind::kNone:
      return "none";
    case IdentityKind::kToken:
      return "token";
    case IdentityKind::kJwt:
      return "jwt";
    case IdentityKind::kCertificate:
      return "certificate";
  }
  return "none";
}

bool MayUseProject(const Identity& identity, std::string_view project) {
  if (project.empty()) project = kDefaultProject;
  return std::any_of(identity.projects.begin(), identity.projects.end(), [&](const std::string& own) { return own == kAllProjects || own == project; });
}

absl::Status RequireProject(const Identity& identity, std::string_view project) {
  if (MayUseProject(identity, project)) return absl::OkStatus();
  if (project.empty()) project = kDefaultProject;
  return PermissionDenied("PROJECT_DENIED", StrCat("\"", identity.subject, "\" has no part in project \"", absl::CHexEscape(AbslView(project.substr(0, 63))),
                                                   "\" (its projects: ", ProjectsShown(identity.projects), "); name one of its own, or ask an administrator for a credential of that project"));
}

absl::Status RequireScope(const Identity& identity, Scope need, std::string_view what) {
  if (identity.scopes.Allows(need)) return absl::OkStatus();
  const std::string has = ScopesToText(identity.scopes);
  return PermissionDenied("SCOPE_MISSING", StrCat(what, " needs scope \"", ScopeName(need), "\", and \"", identity.subject, "\" has ", has.empty() ? std::string("none") : has,
                                                  "; ask an administrator for a credential with that scope"));
}

absl::Status CheckProjects(const std::vector<std::string>& projects) {
  if (projects.empty()) return absl::InvalidArgumentError("projects: name at least one project, or \"*\" for all");
  if (projects.size() > kMaxProjects) return absl::InvalidArgumentError(StrCat("projects: ", projects.size(), " are too many; name at most ", kMaxProjects, ", or \"*\" for all"));
  if (projects.size() == 1 && projects[0] == kAllProjects) return absl::OkStatus();
  for (const std::string& project : projects) {
    if (project == kAllProjects) return absl::InvalidArgumentError("projects: \"*\" means all projects and stands alone");
    ATTUNE_RETURN_IF_ERROR(CheckResourceId(project, "projects"));
  }
  return absl::OkStatus();
}

}  // namespace attune::auth
