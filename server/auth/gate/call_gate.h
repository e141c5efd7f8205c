// CallGate: decides whether a call may begin: who makes it (an Authenticator), and whether they may call its method (../permissions.h). gated_credentials.h puts it before every call of a port, so
// that no service can forget it; a service asks it again, for who its caller is. Owned by main; the authenticator must outlive it. Thread-safe; waits for nothing.
//
// Which project a call is about only its service knows: that is checked there, with RequireProject (../identity.h).
//
// Errors: UNAUTHENTICATED, PERMISSION_DENIED and UNAVAILABLE as in ../authenticator.h and ../identity.h. attune_auth_refused_calls_total{reason} counts them. Somebody who is known and may not make a
// change that they ask for gets a line of the audit log, without the peer, which gRPC does not know yet, and not more than one a second for long; strangers get none.
//
//   CallGate gate(chain, audit_log, registry);
//   ATTUNE_ASSIGN_OR_RETURN(Identity caller, gate.Admit("/attune.v1.UploadService/CreateUpload", credentials));
//   ATTUNE_ASSIGN_OR_RETURN(Identity caller, gate.CallerOf(*context));                                            // in a service
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/registry.h"
#include "server/auth/audit_log.h"
#include "server/auth/authenticator.h"

namespace attune::auth {

struct GateMetrics {
  explicit GateMetrics(prometheus::Registry& registry)
      : refused(prometheus::BuildCounter().Name("attune_auth_refused_calls_total").Help("Calls that were refused for who made them, or for what they may not do, by reason.").Register(registry)) {}
  prometheus::Family<prometheus::Counter>& refused;
};

class CallGate {
 public:
  // All must outlive this object.
  CallGate(Authenticator& authenticator, AuditLog& audit, prometheus::Registry& registry) : authenticator_(authenticator), audit_(audit), metrics_(registry) {}

  // `method` as in :path. Of an open method, nobody in particular (Identity{}), whatever the credentials.
  absl::StatusOr<Identity> Admit(std::string_view method, const absl::StatusOr<Credentials>& credentials);

  // Who makes a call that was admitted. Asks the authenticator again: that is some microseconds, and gRPC 1.51 has no place to leave the first answer in that is a call's and not its connection's. An
  // error where the credential has expired or was revoked in between.
  absl::StatusOr<Identity> CallerOf(const grpc::ServerContextBase& context);

 private:
  absl::StatusOr<Identity> Decide(std::string_view method, const absl::StatusOr<Credentials>& credentials);

  Authenticator& authenticator_;
  AuditLog& audit_;
  GateMetrics metrics_;
};

}  // namespace attune::auth
