// JwtAuthenticator: believes JWTs (RFC 7519) that an OpenID Connect issuer has signed with RS256 or ES256 for this server. Owned by main; `keys` must outlive it. Thread-safe; waits for nothing.
//
// Checked, in this order: size, three strict base64url parts, a header of strict JSON without crit, alg one of the two, the key by its kid, alg against that key, the signature; then of the claims
// iss, aud, exp, nbf, iat, sub. Nothing of the claims is looked at before the signature holds, and no header can bring a key of its own (jwk, jku, x5u and x5c are not read). As RFC 8725 advises, a
// `typ` other than JWT or at+jwt is another kind of token and refused.
//
// What a caller may do comes from two claims. Projects: a text or a list of texts; "*" is all. Scopes: a text with blanks between, or a list; read, write and admin count, behind `scope_prefix`
// where one is set ("attune." makes attune.read the scope read); all others are for other services. Without either claim a caller is known and may do nothing.
//
// Errors: UNAUTHENTICATED with CREDENTIALS_MALFORMED, JWT_ALGORITHM, JWT_KEY_UNKNOWN, JWT_SIGNATURE, JWT_ISSUER, JWT_AUDIENCE, JWT_EXPIRED, JWT_NOT_YET_VALID or JWT_CLAIMS; UNAVAILABLE as in
// jwks_source.h.
//
//   JwtAuthenticator jwt({.issuer = "https://issuer.example", .audience = "attune"}, keys, clock);
//   ATTUNE_ASSIGN_OR_RETURN(Identity caller, jwt.Authenticate({.bearer_token = token, .encrypted = true}));
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/auth/authenticator.h"
#include "server/auth/jwt/jwks_source.h"
#include "server/base/clock.h"

namespace attune::auth {

struct JwtOptions {
  std::string issuer;                          // `iss`, to the letter. Required
  std::string audience;                        // one of `aud`. Required
  std::string projects_claim = "attune_projects";
  std::string scopes_claim = "scope";
  std::string scope_prefix;                    // empty: none
  absl::Duration leeway = absl::Seconds(30);   // between the issuer's clock and ours
};

inline constexpr size_t kMaxJwtBytes = 8 << 10;

// INVALID_ARGUMENT for options without issuer or audience, or with a leeway under 0 or over 5 minutes.
absl::Status CheckJwtOptions(const JwtOptions& options);

class JwtAuthenticator final : public Authenticator {
 public:
  // `options` have been checked.
  JwtAuthenticator(JwtOptions options, JwksSource& keys, const Clock& clock) : options_(std::move(options)), keys_(keys), clock_(clock) {}
  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override;

 private:
  const JwtOptions options_;
  JwksSource& keys_;
  const Clock& clock_;
};

}  // namespace attune::auth
