// Keys, JWTs and certificates made at run time: none lies in the tree. Header-only, for this folder's tests.
//
//   TestKey key = TestKey::Ec();
//   std::string token = SignJwt(key, R"({"alg":"ES256","kid":"k1"})", R"({"iss":"..."})");
//   TestCertificate server = MakeCertificate(key, {.common_name = "server", .san = "DNS:localhost"}, &authority);
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "server/auth/jwt/base64url.h"
#include "server/base/str_cat.h"

namespace attune::auth {

inline std::string TextOfBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

inline std::string BytesOf(const BIGNUM* number, int width = 0) {
  std::string bytes(static_cast<size_t>(width > 0 ? width : BN_num_bytes(number)), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  return bytes;
}

class TestKey {
 public:
  static TestKey Rsa(int bits = 2048) { return TestKey(EVP_RSA_gen(static_cast<size_t>(bits))); }
  static TestKey Ec(const char* curve = "P-256") { return TestKey(EVP_EC_gen(curve)); }

  EVP_PKEY* get() const { return key_.get(); }
  bool is_rsa() const { return EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_RSA; }

  std::string Parameter(const char* name, int width = 0) const {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(key_.get(), name, &number) != 1) std::abort();
    std::string bytes = BytesOf(number, width);
    BN_free(number);
    return bytes;
  }

  // `extra` goes in front: R"("use":"sig",)".
  std::string ToJwk(std::string_view kid, std::string_view extra = "") const {
    const std::string head = StrCat("{", extra, kid.empty() ? std::string() : StrCat("\"kid\":\"", kid, "\","));
    if (is_rsa()) return StrCat(head, R"("kty":"RSA","n":")", EncodeBase64Url(Parameter(OSSL_PKEY_PARAM_RSA_N)), R"(","e":")", EncodeBase64Url(Parameter(OSSL_PKEY_PARAM_RSA_E)), "\"}");
    return StrCat(head, R"("kty":"EC","crv":"P-256","x":")", EncodeBase64Url(Parameter(OSSL_PKEY_PARAM_EC_PUB_X, 32)), R"(","y":")",
                  EncodeBase64Url(Parameter(OSSL_PKEY_PARAM_EC_PUB_Y, 32)), "\"}");
  }

  std::string PrivatePem(const char* passphrase = nullptr) const {
    std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), passphrase == nullptr ? nullptr : EVP_aes_256_cbc(), nullptr, 0, nullptr, const_cast<char*>(passphrase));
    return TextOfBio(out.get());
  }
  std::string PublicPem() const {
    std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_PUBKEY(out.get(), key_.get());
    return TextOfBio(out.get());
  }

  // As in a JWS: of P-256, r || s.
  std::string Sign(std::string_view text, const EVP_MD* digest = EVP_sha256()) const {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    size_t size = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 || EVP_DigestSign(context.get(), nullptr, &size, data, text.size()) != 1) std::abort();
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data, text.size()) != 1) std::abort();
    signature.resize(size);
    if (is_rsa()) return signature;
    const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
    std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> pair(d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(size)), ECDSA_SIG_free);
    return BytesOf(ECDSA_SIG_get0_r(pair.get()), 32) + BytesOf(ECDSA_SIG_get0_s(pair.get()), 32);
  }

 private:
  explicit TestKey(EVP_PKEY* key) : key_(key, EVP_PKEY_free) {
    if (key == nullptr) std::abort();
  }
  std::shared_ptr<EVP_PKEY> key_;
};

inline std::string Unsigned(std::string_view header, std::string_view claims) { return StrCat(EncodeBase64Url(header), ".", EncodeBase64Url(claims)); }

inline std::string SignJwt(const TestKey& key, std::string_view header, std::string_view claims) {
  const std::string text = Unsigned(header, claims);
  return StrCat(text, ".", EncodeBase64Url(key.Sign(text)));
}

struct CertificateSpec {
  std::string common_name = "test";
  std::string san;  // "DNS:localhost,IP:127.0.0.1,URI:spiffe://x/y"; empty: none
  bool authority = false;
  absl::Time not_before = absl::FromUnixSeconds(1'500'000'000);
  absl::Time not_after = absl::FromUnixSeconds(4'000'000'000);
};

struct TestCertificate {
  TestKey key;
  std::shared_ptr<X509> x509;

  std::string Pem() const {
    std::unique_ptr<BIO, decltype(&BIO_free_all)> out(BIO_new(BIO_s_mem()), BIO_free_all);
    PEM_write_bio_X509(out.get(), x509.get());
    return TextOfBio(out.get());
  }
};

// Signed by `issuer`, or by itself.
inline TestCertificate MakeCertificate(const TestKey& key, const CertificateSpec& spec, const TestCertificate* issuer = nullptr) {
  std::shared_ptr<X509> x509(X509_new(), X509_free);
  X509_set_version(x509.get(), X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(x509.get()), absl::ToTimeT(spec.not_before));
  ASN1_TIME_set(X509_getm_notAfter(x509.get()), absl::ToTimeT(spec.not_after));
  X509_set_pubkey(x509.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(spec.common_name.data()), static_cast<int>(spec.common_name.size()), -1, 0);
  X509* signer = issuer == nullptr ? x509.get() : issuer->x509.get();
  X509_set_issuer_name(x509.get(), X509_get_subject_name(signer));
  X509V3_CTX context;
  X509V3_set_ctx(&context, signer, x509.get(), nullptr, nullptr, 0);
  const auto add = [&](int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr || X509_add_ext(x509.get(), extension, -1) != 1) std::abort();
    X509_EXTENSION_free(extension);
  };
  add(NID_basic_constraints, spec.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (spec.authority) add(NID_key_usage, "critical,keyCertSign,cRLSign");
  if (!spec.san.empty()) add(NID_subject_alt_name, spec.san);
  if (X509_sign(x509.get(), issuer == nullptr ? key.get() : issuer->key.get(), EVP_sha256()) == 0) std::abort();
  return {key, x509};
}

}  // namespace attune::auth
