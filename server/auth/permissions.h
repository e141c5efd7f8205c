// What each method of the public API needs: one table, total over the API (a test walks the protos' descriptors and fails for a method without an entry), and closed: a method that is not in it
// is for administrators only. Pure; thread-safe.
//
// write is for what changes something and for what makes the machine work (plans, predictions, evaluations); admin for what shows everything at once. Health and reflection are open: probes of
// Kubernetes carry no credentials, and both tell nothing but that the server lives and what its public protos are.
//
//   const Permission permission = PermissionFor("/attune.v1.UploadService/CreateUpload");
//   if (!permission.open) ATTUNE_RETURN_IF_ERROR(RequireScope(caller, permission.scope, method));
#pragma once

#include <string_view>
#include <vector>

#include "server/auth/identity.h"

namespace attune::auth {

struct Permission {
  std::string_view method;  // "attune.v1.UploadService/CreateUpload"
  Scope scope = Scope::kAdmin;
  bool audited = false;     // changes something, or takes everything away: goes to the audit log
  bool open = false;        // for everybody, without credentials
};

const std::vector<Permission>& Permissions();

// `method` with or without the leading '/'. One that is not in the table needs admin and is audited; its `method` is "".
Permission PermissionFor(std::string_view method);

}  // namespace attune::auth
