// From gRPC's view of a call to Credentials (../authenticator.h): what the gate sees before the call begins, and what a service method sees in its context; both read the same. Pure; thread-safe.
//
// Errors: UNAUTHENTICATED with CREDENTIALS_MALFORMED for an authorization entry that is not one `Bearer TOKEN`, or more than one of them.
//
//   ATTUNE_ASSIGN_OR_RETURN(Credentials credentials, CredentialsOf(*context));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "grpc/grpc_security.h"
#include "grpcpp/server_context.h"
#include "server/auth/authenticator.h"

namespace attune::auth {

// The token of `authorization` entries; "" where there are none.
absl::StatusOr<std::string> BearerToken(const std::vector<std::string_view>& authorization);

// `authorization` as above; of `context`, what the handshake has shown. A null context is a plaintext channel's.
absl::StatusOr<Credentials> CredentialsOf(const std::vector<std::string_view>& authorization, const grpc_auth_context* context);

// Of a call that a service is about to answer.
absl::StatusOr<Credentials> CredentialsOf(const grpc::ServerContextBase& context);

}  // namespace attune::auth
