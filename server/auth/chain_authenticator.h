// ChainAuthenticator: picks the authenticator by the form of the credential: attune_... is a token, three parts between dots are a JWT, and a caller without either is judged by its certificate.
// One credential is judged once: a bearer token that is refused does not fall back to the certificate beside it, or a revoked token would go unnoticed. Owned by main; its parts must outlive it.
// Thread-safe.
//
// Errors, besides those of its parts: UNAUTHENTICATED with CREDENTIALS_MISSING, CREDENTIALS_MALFORMED, CREDENTIALS_NOT_TAKEN (a form that this server is not set up for) and CHANNEL_NOT_ENCRYPTED.
//
//   ChainAuthenticator chain({.tokens = store.get(), .jwt = jwt.get(), .allow_plaintext_tokens = listens_on_loopback});
//   ATTUNE_ASSIGN_OR_RETURN(Identity caller, chain.Authenticate(credentials));
#pragma once

#include <optional>

#include "server/auth/authenticator.h"

namespace attune::auth {

struct ChainOptions {
  Authenticator* tokens = nullptr;        // null: not taken
  Authenticator* jwt = nullptr;
  Authenticator* certificates = nullptr;
  // Where nobody but this machine, or a proxy that encrypts, can read along. Otherwise a token on an open channel is refused: it may have been read, and its owner should know.
  bool allow_plaintext_tokens = false;
  // Who callers without credentials are. Absent: they are refused.
  std::optional<Identity> anonymous;
};

class ChainAuthenticator final : public Authenticator {
 public:
  explicit ChainAuthenticator(ChainOptions options) : options_(std::move(options)) {}
  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override;

 private:
  absl::StatusOr<Identity> AuthenticateBearer(const Credentials& credentials);
  const ChainOptions options_;
};

}  // namespace attune::auth
