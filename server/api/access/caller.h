// Caller: who makes a call, and which projects they see. A plain value.
//
//   ATTUNE_ASSIGN_OR_RETURN(Caller caller, access.CallerOf(*context));
//   store.List(caller.Visible(), page_size, page_token);
//   ATTUNE_ASSIGN_OR_RETURN(std::string project, caller.ProjectForNew(request.project(), "project"));
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/identity.h"
#include "server/base/projects.h"

namespace attune::api {

class Caller {
 public:
  Caller();  // anybody, on a server that asks nobody: all projects
  explicit Caller(auth::Identity identity) : identity_(std::move(identity)) {}

  const auth::Identity& identity() const { return identity_; }
  bool HasAllProjects() const;
  bool Has(std::string_view project) const { return auth::MayUseProject(identity_, project); }

  // Their projects.
  ProjectSet Own() const;
  // The same and kSharedProject, whose datasets and models everybody may read.
  ProjectSet Visible() const;

  // The project of what a call makes: the one that `asked` names, which must be one of theirs; without it, the default one where they have it, else their only one. Errors: INVALID_ARGUMENT with a violation of `field`
  // for one that cannot be, or where they have several and must say which; PERMISSION_DENIED with reason PROJECT_DENIED.
  absl::StatusOr<std::string> ProjectForNew(const std::string& asked, std::string_view field) const;

  // PERMISSION_DENIED with reason PROJECT_DENIED unless they have all projects: for what shows or changes the whole server.
  absl::Status RequireAllProjects(std::string_view what) const;

 private:
  auth::Identity identity_;
};

}  // namespace attune::api
