// What can be wrong with the files of a server's TLS, looked at before a client has to find out: certificate chain, private key, authorities of clients. Pure; thread-safe.
//
// Errors: INVALID_ARGUMENT that begins with what is wrong and says how to mend it; the caller puts the file's name in front.
//
//   ATTUNE_ASSIGN_OR_RETURN(CertificateFacts facts, CheckCertificateAndKey(chain_pem, key_pem, clock.Now()));
//   gauge.Set(absl::ToUnixSeconds(facts.not_after));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune::auth {

inline constexpr int64_t kMaxPemBytes = 1 << 20;

// Of the first certificate of a chain, that of the server itself.
struct CertificateFacts {
  std::string subject;  // "CN=attune.example", in OpenSSL's one-line form of RFC 2253
  std::vector<std::string> names;  // DNS names and IP addresses that clients may call it by
  absl::Time not_before;
  absl::Time not_after;
};

// The chain: the server's certificate first, then each issuer of the one before; the key belongs to the first. All are valid at `now`. RSA keys have 2048 bits or more.
absl::StatusOr<CertificateFacts> CheckCertificateAndKey(std::string_view chain_pem, std::string_view key_pem, absl::Time now);

// Certificates of authorities (CA:TRUE), at least one of which is valid at `now`.
absl::Status CheckAuthorities(std::string_view pem, absl::Time now);

}  // namespace attune::auth
