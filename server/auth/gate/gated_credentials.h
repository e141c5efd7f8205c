// GatedCredentials: gRPC server credentials with a CallGate before every call, so that a refused one reaches no service, no interceptor and no handler: gRPC itself answers it, with the gate's code and
// message (and no details: gRPC 1.51 has no way to send trailers from there). They go into ServerBuilder::AddListeningPort and live as long as the server.
//
// gRPC has this hook for TLS and calls it an auth metadata processor; its C++ face refuses it on a plaintext port, where a server behind a proxy, or on loopback, needs it as well. So the port is added
// here, through gRPC's C interface, in the same way for both.
//
//   auto credentials = MakeGatedCredentials(certificate->MakeCredentials(), gate);   // TLS
//   auto credentials = MakeGatedCredentials(nullptr, gate);                          // plaintext
//   builder.AddListeningPort(address, credentials, &port);
#pragma once

#include <memory>

#include "grpc/grpc_security.h"
#include "grpcpp/security/server_credentials.h"
#include "server/auth/gate/call_gate.h"

namespace attune::auth {

// Takes `credentials` (null: plaintext). `gate` must outlive the server.
std::shared_ptr<grpc::ServerCredentials> MakeGatedCredentials(grpc_server_credentials* credentials, CallGate& gate);

}  // namespace attune::auth
