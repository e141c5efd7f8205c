// JwkSet: the public keys of a token issuer (RFC 7517), and the check of a signature by one of them. Immutable; thread-safe.
//
// Taken are RSA keys of 2048 to 8192 bits for RS256 and P-256 keys for ES256. Which of the two a key does is a matter of the key alone; a token's `alg` is compared with it and decides nothing, so
// that neither `none` nor HS256 with a public key as its secret can be asked for. Keys of other kinds or uses are skipped, as issuers publish them for others; a set that holds a private or a
// symmetric key, or one kid for two keys, is refused, as somebody made a mistake that a server should not hide.
//
// Why no JWT library: of what Debian 12 has, libjwt and cpp-jwt take the algorithm from the token unless told otherwise and know no JWK, librhonabwy brings GnuTLS and an HTTP client of its own, and
// none refuses names that come twice. What is left to do beside them is most of it; the cryptography is OpenSSL's either way.
//
// Errors: INVALID_ARGUMENT that says what is wrong with a set.
//
//   ATTUNE_ASSIGN_OR_RETURN(std::shared_ptr<const JwkSet> keys, JwkSet::Parse(text));
//   const Jwk* key = keys->Find(kid);
//   if (key == nullptr || !key->Verify(signed_text, signature)) ...
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace attune::auth {

enum class JwsAlgorithm { kRs256, kEs256 };
std::string_view AlgorithmName(JwsAlgorithm algorithm);  // "RS256", "ES256"

inline constexpr size_t kMaxJwkSetBytes = 256 << 10;
inline constexpr size_t kMaxJwks = 64;  // usable ones
inline constexpr size_t kMaxKidBytes = 256;

class Jwk {
 public:
  Jwk(std::string kid, JwsAlgorithm algorithm, std::shared_ptr<EVP_PKEY> key) : kid_(std::move(kid)), algorithm_(algorithm), key_(std::move(key)) {}
  const std::string& kid() const { return kid_; }  // may be empty
  JwsAlgorithm algorithm() const { return algorithm_; }

  // `signature` as in a JWS: of RSA as long as the modulus, of P-256 the 64 bytes r || s, both in [1, n - 1].
  bool Verify(std::string_view signed_text, std::string_view signature) const;

 private:
  std::string kid_;
  JwsAlgorithm algorithm_;
  std::shared_ptr<EVP_PKEY> key_;
};

class JwkSet {
 public:
  // {"keys": [...]}, at most kMaxJwkSetBytes. At least one key must be usable.
  static absl::StatusOr<std::shared_ptr<const JwkSet>> Parse(std::string_view text);

  // Null when there is none. "" finds the only key of a set of one: a token need not name it.
  const Jwk* Find(std::string_view kid) const;
  size_t size() const { return keys_.size(); }

 private:
  explicit JwkSet(std::vector<Jwk> keys) : keys_(std::move(keys)) {}
  const std::vector<Jwk> keys_;
};

}  // namespace attune::auth
