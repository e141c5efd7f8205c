#include "server/auth/chain_authenticator.h"

#include <algorithm>

#include "server/auth/auth_errors.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr std::string_view kTokenPrefix = "attune_";

std::string Taken(const ChainOptions& options) {
  std::string taken;
  const auto add = [&taken](bool is_taken, std::string_view what) {
    if (is_taken) StrAppend(&taken, taken.empty() ? "" : " or ", what);
  };
  add(options.tokens != nullptr, "an API token (authorization: Bearer attune_...)");
  add(options.jwt != nullptr, "a JWT of the configured issuer (authorization: Bearer eyJ...)");
  add(options.certificates != nullptr, "a client certificate");
  return taken.empty() ? "nothing: its operator has to configure how callers show who they are" : taken;
}

absl::Status NotTaken(std::string_view what, const ChainOptions& options) {
  return Unauthenticated("CREDENTIALS_NOT_TAKEN", StrCat("this server does not take ", what, "; it takes ", Taken(options)));
}

}  // namespace

absl::StatusOr<Identity> ChainAuthenticator::Authenticate(const Credentials& credentials) {
  if (!credentials.bearer_token.empty()) return AuthenticateBearer(credentials);
  // Whoever has shown a certificate wants to be its owner: an unknown one is not a nobody.
  if (credentials.certificate.has_value() && options_.certificates != nullptr) return options_.certificates->Authenticate(credentials);
  if (options_.anonymous.has_value()) return *options_.anonymous;
  if (credentials.certificate.has_value()) return NotTaken("client certificates", options_);
  return Unauthenticated("CREDENTIALS_MISSING", StrCat("the call does not say who makes it; this server takes ", Taken(options_)));
}

absl::StatusOr<Identity> ChainAuthenticator::AuthenticateBearer(const Credentials& credentials) {
  if (!credentials.encrypted && !options_.allow_plaintext_tokens) {
    return Unauthenticated("CHANNEL_NOT_ENCRYPTED", "the token came over a channel that is not encrypted, where others can read it: take it for known and revoke it, and connect with TLS");
  }
  const std::string_view token = credentials.bearer_token;
  if (token.substr(0, kTokenPrefix.size()) == kTokenPrefix) return options_.tokens == nullptr ? NotTaken("API tokens", options_) : options_.tokens->Authenticate(credentials);
  if (std::count(token.begin(), token.end(), '.') == 2) return options_.jwt == nullptr ? NotTaken("JWTs", options_) : options_.jwt->Authenticate(credentials);
  return Unauthenticated("CREDENTIALS_MALFORMED", StrCat("the bearer token is neither an API token (attune_...) nor a JWT (three parts between dots): check that it was copied whole; this server takes ",
                                                        Taken(options_)));
}

}  // namespace attune::auth
