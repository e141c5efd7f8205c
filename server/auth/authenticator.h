// Authenticator: from what a caller shows to who they are. Implementations: tokens/token_store.h, jwt/jwt_authenticator.h, certificate_authenticator.h, and chain_authenticator.h, which picks one
// of them by the form of what is shown. Thread-safe; never waits for a disk or a network, so that gRPC's threads may call it.
//
// Errors: UNAUTHENTICATED with a reason (auth_errors.h) and what to do; UNAVAILABLE with a retry delay where the answer is on its way (a signer's keys are being fetched). No error repeats what
// was shown.
//
//   absl::StatusOr<Identity> caller = authenticator.Authenticate({.bearer_token = token, .encrypted = true});
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/auth/identity.h"

namespace attune::auth {

// Of a client certificate whose chain TLS has already checked.
struct PeerCertificate {
  std::string common_name;
  std::vector<std::string> uris;       // subject alternative names, by kind
  std::vector<std::string> dns_names;
  std::vector<std::string> emails;
  std::string pem;
};

struct Credentials {
  std::string bearer_token;  // of `authorization: Bearer ...`, without the scheme; empty: none
  std::optional<PeerCertificate> certificate;
  bool encrypted = false;  // the channel, by this server
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  virtual absl::StatusOr<Identity> Authenticate(const Credentials& credentials) = 0;
};

}  // namespace attune::auth
