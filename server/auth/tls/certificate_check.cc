#include "server/auth/tls/certificate_check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <optional>
#include <utility>

#include "server/auth/openssl_handle.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMinEcBits = 224;

using Bio = std::unique_ptr<BIO, OpenSslDeleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, OpenSslDeleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, OpenSslDeleter<EVP_PKEY_free>>;

Bio Memory(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone()); }

absl::Time ToTime(const ASN1_TIME* time) {
  tm parts = {};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? absl::FromTM(parts, absl::UTCTimeZone()) : absl::InfinitePast();
}

std::string NameOf(const X509_NAME* name) {
  Bio out(BIO_new(BIO_s_mem()));
  if (out == nullptr || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);  // NOLINT(google-runtime-int)
  return std::string(data, static_cast<size_t>(size));
}

std::string SubjectOf(const X509* certificate) { return NameOf(X509_get_subject_name(certificate)); }

std::vector<std::string> AlternativeNames(const X509* certificate) {
  std::vector<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)), static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
      const unsigned char* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      names.push_back(StrCat(int{bytes[0]}, ".", int{bytes[1]}, ".", int{bytes[2]}, ".", int{bytes[3]}));
    }
  }
  GENERAL_NAMES_free(list);
  return names;
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(std::string_view pem) {
  if (pem.find("PRIVATE KEY-----") != pem.npos && pem.find("BEGIN CERTIFICATE") == pem.npos) return absl::InvalidArgumentError("holds a private key, not a certificate: are the two files swapped?");
  if (pem.find("-----BEGIN") == pem.npos) return absl::InvalidArgumentError("is not PEM text (-----BEGIN CERTIFICATE-----); convert DER with: openssl x509 -inform der -in FILE");
  std::vector<Certificate> certificates;
  Bio in = Memory(pem);
  for (;;) {
    Certificate certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(std::move(certificate));
  }
  // Reading ends with "no start line" when all has been read; with anything else in the middle of a damaged one.
  const unsigned long error = ERR_peek_last_error();  // NOLINT(google-runtime-int)
  const bool all_read = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!all_read) return absl::InvalidArgumentError(StrCat("has a damaged certificate after ", certificates.size(), " good ones; copy the file again"));
  if (certificates.empty()) return absl::InvalidArgumentError("holds no certificate");
  return certificates;
}

absl::StatusOr<Key> ReadKey(std::string_view pem) {
  if (pem.find("BEGIN CERTIFICATE") != pem.npos && pem.find("PRIVATE KEY-----") == pem.npos) return absl::InvalidArgumentError("holds a certificate, not a private key: are the two files swapped?");
  // Without a prompt at the terminal, which OpenSSL would show for a key under a passphrase.
  static constexpr auto kNoPassphrase = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return 0;
  };
  bool passphrase_asked = false;
  Bio in = Memory(pem);
  Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, kNoPassphrase, &passphrase_asked));
  ERR_clear_error();
  if (key != nullptr) return key;
  if (passphrase_asked) return absl::InvalidArgumentError("is encrypted with a passphrase, which a server has nobody to ask for; decrypt it (openssl pkey -in FILE) and guard the file by its mode instead");
  return absl::InvalidArgumentError("holds no private key in PEM (-----BEGIN PRIVATE KEY-----)");
}

absl::Status CheckStrength(EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  const int type = EVP_PKEY_get_base_id(key);
  if (type == EVP_PKEY_RSA && bits < kMinRsaBits) return absl::InvalidArgumentError(StrCat("has an RSA key of ", bits, " bits, which clients refuse; make one of ", kMinRsaBits, " or more"));
  if (type == EVP_PKEY_EC && bits < kMinEcBits) return absl::InvalidArgumentError(StrCat("has an elliptic key of ", bits, " bits, which clients refuse; take P-256"));
  return absl::OkStatus();
}

absl::Status CheckDates(const X509* certificate, absl::Time now) {
  const absl::Time not_before = ToTime(X509_get0_notBefore(certificate)), not_after = ToTime(X509_get0_notAfter(certificate));
  if (now > not_after) return absl::InvalidArgumentError(StrCat("expired on ", Day(not_after), " (", SubjectOf(certificate), "); have a new one issued"));
  if (now < not_before) return absl::InvalidArgumentError(StrCat("is valid from ", Day(not_before), " on (", SubjectOf(certificate), "), and it is ", Day(now), " here; check this machine's clock"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CertificateFacts> CheckCertificateAndKey(std::string_view chain_pem, std::string_view key_pem, absl::Time now) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<Certificate> chain, ReadCertificates(chain_pem));
  absl::StatusOr<Key> key = ReadKey(key_pem);
  if (!key.ok()) return absl::InvalidArgumentError(StrCat("the private key's file ", std::string(key.status().message())));
  const X509* leaf = chain[0].get();
  if (X509_check_private_key(leaf, key->get()) != 1) {
    ERR_clear_error();
    for (size_t i = 1; i < chain.size(); ++i) {
      const bool fits = X509_check_private_key(chain[i].get(), key->get()) == 1;
      ERR_clear_error();
      if (fits) return absl::InvalidArgumentError(StrCat("has the server's certificate at place ", i + 1, "; put it first, and its issuers after it"));
    }
    return absl::InvalidArgumentError(StrCat("does not belong to the private key (", SubjectOf(leaf), "); give the key that it was issued for"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckStrength(key->get()));
  for (size_t i = 0; i < chain.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(CheckDates(chain[i].get(), now));
    if (i + 1 < chain.size() && X509_check_issued(chain[i + 1].get(), chain[i].get()) != X509_V_OK) {
      return absl::InvalidArgumentError(StrCat("has at place ", i + 2, " a certificate (", SubjectOf(chain[i + 1].get()), ") that did not issue the one before; order them from the server's to its authority's"));
    }
  }
  return CertificateFacts{.subject = SubjectOf(leaf), .names = AlternativeNames(leaf), .not_before = ToTime(X509_get0_notBefore(leaf)), .not_after = ToTime(X509_get0_notAfter(leaf))};
}

absl::Status CheckAuthorities(std::string_view pem, absl::Time now) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<Certificate> authorities, ReadCertificates(pem));
  absl::Status first_fault;
  bool any_valid = false;
  for (const Certificate& authority : authorities) {
    if (X509_check_ca(authority.get()) == 0) {
      return absl::InvalidArgumentError(StrCat("has a certificate that is no authority's (", SubjectOf(authority.get()), "); give those that sign the clients' certificates"));
    }
    const absl::Status dates = CheckDates(authority.get(), now);
    any_valid = any_valid || dates.ok();
    if (first_fault.ok()) first_fault = dates;
  }
  return any_valid ? absl::OkStatus() : first_fault;
}

}  // namespace attune::auth
