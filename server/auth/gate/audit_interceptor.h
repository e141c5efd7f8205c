// AuditInterceptor: writes a line of the audit log for each call of an audited method (../permissions.h) that has passed the gate, when it ends: one place for all services, beside api/rpc_observer.h. The
// resource is the `name` of the request; of calls that make something, and so have none, that of the response. That takes generated messages: an audited method must not be a raw one (WithRawCallbackMethod),
// whose messages are bytes. Owned by gRPC's server once registered; log and gate must outlive the server. Thread-safe.
//
//   interceptors.push_back(std::make_unique<AuditInterceptor>(*audit_log, *gate));
#pragma once

#include <string>

#include "google/protobuf/message.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/auth/audit_log.h"
#include "server/auth/gate/call_gate.h"

namespace attune::auth {

class AuditInterceptor final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  AuditInterceptor(AuditLog& log, CallGate& gate) : log_(log), gate_(gate) {}
  // Null for methods that are not audited.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  class Call;
  AuditLog& log_;
  CallGate& gate_;
};

// The text of the field "name", or of "name" in a field of its own type ("dataset", "fine_tuning_job", ... of an update, an import's last word); "" where there is none. Pure.
std::string ResourceNameOf(const google::protobuf::Message& message);

}  // namespace attune::auth
