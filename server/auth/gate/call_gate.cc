#include "server/auth/gate/call_gate.h"

#include <string>

#include "server/auth/auth_errors.h"
#include "server/auth/gate/call_credentials.h"
#include "server/auth/permissions.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"

namespace attune::auth {
namespace {

constexpr size_t kMaxMethodBytes = 128;

// For messages: "CreateUpload".
std::string_view ShortName(std::string_view method) { return method.substr(method.rfind('/') + 1); }

}  // namespace

absl::StatusOr<Identity> CallGate::Decide(std::string_view method, const absl::StatusOr<Credentials>& credentials) {
  const Permission permission = PermissionFor(method);
  if (permission.open) return Identity{};
  ATTUNE_RETURN_IF_ERROR(credentials.status());
  ATTUNE_ASSIGN_OR_RETURN(Identity caller, authenticator_.Authenticate(*credentials));
  const absl::Status status = RequireScope(caller, permission.scope, permission.method.empty() ? "a method that this server does not know" : ShortName(method));
  if (status.ok()) return caller;
  if (permission.audited) audit_.RecordRefusal({.caller = caller, .method = method.substr(method.starts_with('/') ? 1 : 0), .code = absl::StatusCodeToString(status.code())});
  return status;
}

absl::StatusOr<Identity> CallGate::Admit(std::string_view method, const absl::StatusOr<Credentials>& credentials) {
  absl::StatusOr<Identity> caller = Decide(method, credentials);
  if (caller.ok()) return caller;
  metrics_.refused.Add({{"reason", ReasonOf(caller.status())}}).Increment();
  // Strangers must not fill the log; whoever is known and wants more than they may is worth a line.
  const bool known = caller.status().code() == absl::StatusCode::kPermissionDenied;
  Log(known ? LogLevel::kWarning : LogLevel::kDebug, "refused call", {{"method", method.substr(0, kMaxMethodBytes)}, {"error", std::string(caller.status().message())}});
  return caller;
}

absl::StatusOr<Identity> CallGate::CallerOf(const grpc::ServerContextBase& context) {
  ATTUNE_ASSIGN_OR_RETURN(Credentials credentials, CredentialsOf(context));
  return authenticator_.Authenticate(credentials);
}

}  // namespace attune::auth
