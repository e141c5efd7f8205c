#include "server/auth/jwt/jwk_set.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "server/auth/jwt/base64url.h"
#include "server/auth/jwt/strict_json.h"
#include "server/auth/openssl_handle.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr int kMinRsaBits = 2048, kMaxRsaBits = 8192;
constexpr int kMaxExponentBits = 32;  // 65537 is what all use; a huge one would cost each check seconds
constexpr size_t kP256Bytes = 32;

using Number = std::unique_ptr<BIGNUM, OpenSslDeleter<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, OpenSslDeleter<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, OpenSslDeleter<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, OpenSslDeleter<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, OpenSslDeleter<EVP_MD_CTX_free>>;

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Number ToNumber(std::string_view bytes) { return Number(BN_bin2bn(Bytes(bytes), static_cast<int>(bytes.size()), nullptr)); }

absl::Status Fault(size_t index, std::string_view what) { return absl::InvalidArgumentError(StrCat("keys[", index, "] ", what)); }

// A member's text; "" when it is absent or of another type, which no member of a key may be.
std::string Text(const nlohmann::json& jwk, const char* name) {
  auto found = jwk.find(name);
  return found != jwk.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> Decoded(const nlohmann::json& jwk, const char* name) {
  std::optional<std::string> bytes = DecodeBase64Url(Text(jwk, name));
  if (bytes.has_value() && bytes->empty()) return std::nullopt;
  return bytes;
}

std::shared_ptr<EVP_PKEY> FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 || EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) return nullptr;
  std::shared_ptr<EVP_PKEY> owned(key, EVP_PKEY_free);
  // That a point lies on its curve, and the like.
  KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (check == nullptr || EVP_PKEY_public_check(check.get()) != 1) return nullptr;
  return owned;
}

absl::StatusOr<std::shared_ptr<EVP_PKEY>> RsaKey(const nlohmann::json& jwk, size_t index) {
  const std::optional<std::string> modulus = Decoded(jwk, "n"), exponent = Decoded(jwk, "e");
  if (!modulus.has_value() || !exponent.has_value()) return Fault(index, "has no proper n and e (base64url without padding)");
  Number n = ToNumber(*modulus), e = ToNumber(*exponent);
  if (n == nullptr || e == nullptr) return absl::InternalError("OpenSSL has no memory");
  const int bits = BN_num_bits(n.get());
  if (bits < kMinRsaBits || bits > kMaxRsaBits) return Fault(index, StrCat("has ", bits, " bits; RSA keys of ", kMinRsaBits, " to ", kMaxRsaBits, " are taken"));
  if (BN_num_bits(e.get()) > kMaxExponentBits || BN_num_bits(e.get()) < 2 || !BN_is_odd(e.get())) return Fault(index, "has an exponent that no issuer uses; it should be 65537 (AQAB)");
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  std::shared_ptr<EVP_PKEY> key = FromParams("RSA", builder.get());
  if (key == nullptr) return Fault(index, "is no RSA key");
  return key;
}

absl::StatusOr<std::shared_ptr<EVP_PKEY>> P256Key(const nlohmann::json& jwk, size_t index) {
  const std::optional<std::string> x = Decoded(jwk, "x"), y = Decoded(jwk, "y");
  if (!x.has_value() || !y.has_value() || x->size() != kP256Bytes || y->size() != kP256Bytes) return Fault(index, "has no x and y of 32 bytes each (base64url without padding)");
  const std::string point = StrCat("\x04", *x, *y);  // uncompressed
  ParamBuilder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  std::shared_ptr<EVP_PKEY> key = FromParams("EC", builder.get());
  if (key == nullptr) return Fault(index, "is no point of P-256");
  return key;
}

bool IsForVerifying(const nlohmann::json& jwk) {
  if (jwk.contains("use") && Text(jwk, "use") != "sig") return false;
  auto operations = jwk.find("key_ops");
  if (operations == jwk.end()) return true;
  return operations->is_array() && std::find(operations->begin(), operations->end(), "verify") != operations->end();
}

// The algorithm that a key is for; nothing for keys of others.
std::optional<JwsAlgorithm> AlgorithmOf(const nlohmann::json& jwk) {
  std::optional<JwsAlgorithm> algorithm;
  if (Text(jwk, "kty") == "RSA") algorithm = JwsAlgorithm::kRs256;
  if (Text(jwk, "kty") == "EC" && Text(jwk, "crv") == "P-256") algorithm = JwsAlgorithm::kEs256;
  if (!algorithm.has_value() || !IsForVerifying(jwk)) return std::nullopt;
  if (jwk.contains("alg") && Text(jwk, "alg") != AlgorithmName(*algorithm)) return std::nullopt;  // RS512, ECDH-ES, ...
  return algorithm;
}

absl::StatusOr<std::optional<Jwk>> ReadKey(const nlohmann::json& jwk, size_t index) {
  if (!jwk.is_object()) return Fault(index, "is not an object");
  for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    if (jwk.contains(secret)) return Fault(index, StrCat("holds a secret (\"", secret, "\"): publish public keys only, and take this one for known to others"));
  }
  const std::optional<JwsAlgorithm> algorithm = AlgorithmOf(jwk);
  if (!algorithm.has_value()) return std::optional<Jwk>();
  if (jwk.contains("kid") && !jwk["kid"].is_string()) return Fault(index, "has a kid that is no text");
  std::string kid = Text(jwk, "kid");
  if (kid.size() > kMaxKidBytes) return Fault(index, StrCat("has a kid of over ", kMaxKidBytes, " bytes"));
  ATTUNE_ASSIGN_OR_RETURN(std::shared_ptr<EVP_PKEY> key, *algorithm == JwsAlgorithm::kRs256 ? RsaKey(jwk, index) : P256Key(jwk, index));
  return std::optional<Jwk>(Jwk(std::move(kid), *algorithm, std::move(key)));
}

// r || s as the DER that OpenSSL takes; "" when a number is out of range.
std::string EcdsaToDer(std::string_view signature) {
  if (signature.size() != 2 * kP256Bytes) return "";
  static const BIGNUM* const order = [] {
    BIGNUM* n = nullptr;
    BN_hex2bn(&n, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
    return n;
  }();
  Number r = ToNumber(signature.substr(0, kP256Bytes)), s = ToNumber(signature.substr(kP256Bytes));
  for (const Number& number : {std::cref(r), std::cref(s)}) {
    if (number == nullptr || BN_is_zero(number.get()) || BN_cmp(number.get(), order) >= 0) return "";
  }
  std::unique_ptr<ECDSA_SIG, OpenSslDeleter<ECDSA_SIG_free>> pair(ECDSA_SIG_new());
  if (pair == nullptr || ECDSA_SIG_set0(pair.get(), r.get(), s.get()) != 1) return "";
  r.release();
  s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return "";
  std::string text(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return text;
}

}  // namespace

std::string_view AlgorithmName(JwsAlgorithm algorithm) { return algorithm == JwsAlgorithm::kRs256 ? "RS256" : "ES256"; }

bool Jwk::Verify(std::string_view signed_text, std::string_view signature) const {
  std::string der;
  if (algorithm_ == JwsAlgorithm::kEs256) {
    der = EcdsaToDer(signature);
    signature = der;
  } else if (signature.size() != static_cast<size_t>(EVP_PKEY_get_size(key_.get()))) {
    return false;
  }
  if (signature.empty()) return false;
  DigestContext context(EVP_MD_CTX_new());
  // PKCS #1 v1.5 is what RSA keys do here unless told otherwise; it is what RS256 means.
  return context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(signed_text), signed_text.size()) == 1;
}

absl::StatusOr<std::shared_ptr<const JwkSet>> JwkSet::Parse(std::string_view text) {
  if (text.size() > kMaxJwkSetBytes) return absl::InvalidArgumentError(StrCat("the key set has over ", kMaxJwkSetBytes, " bytes"));
  absl::StatusOr<nlohmann::json> json = ParseStrictObject(text);
  if (!json.ok()) return absl::InvalidArgumentError(StrCat("the key set ", std::string(json.status().message())));
  auto list = json->find("keys");
  if (list == json->end() || !list->is_array()) return absl::InvalidArgumentError("the key set has no list \"keys\": give a JWK set (RFC 7517), which issuers show at jwks_uri");
  std::vector<Jwk> keys;
  for (size_t i = 0; i < list->size(); ++i) {
    ATTUNE_ASSIGN_OR_RETURN(std::optional<Jwk> key, ReadKey((*list)[i], i));
    if (!key.has_value()) continue;
    if (std::any_of(keys.begin(), keys.end(), [&](const Jwk& other) { return other.kid() == key->kid(); })) return Fault(i, "has the same kid as a key before it");
    keys.push_back(*std::move(key));
    if (keys.size() > kMaxJwks) return absl::InvalidArgumentError(StrCat("the key set has over ", kMaxJwks, " keys"));
  }
  if (keys.empty()) return absl::InvalidArgumentError("the key set has no RSA key for RS256 and no P-256 key for ES256");
  return std::shared_ptr<const JwkSet>(new JwkSet(std::move(keys)));
}

const Jwk* JwkSet::Find(std::string_view kid) const {
  if (kid.empty()) return keys_.size() == 1 ? &keys_[0] : nullptr;
  auto found = std::find_if(keys_.begin(), keys_.end(), [kid](const Jwk& key) { return key.kid() == kid; });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace attune::auth
