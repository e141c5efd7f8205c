// CertificateAuthenticator: whom a client certificate speaks for, by a list of rules: the first whose pattern matches one of the certificate's names decides. TLS has checked the chain, the key and
// the dates before; what is judged here is only who may do what. Owned by main. Thread-safe.
//
// A name is spelt with its kind: uri:spiffe://cluster/team-a, dns:ci.example.org, email:ann@example.org, and cn:ann for a certificate without alternative names (RFC 6125: beside them the
// common name does not count). Patterns are those of base/glob.h. The text form has a rule on each line, # begins a comment:
//
//   # pattern                        projects       scopes
//   uri:spiffe://cluster/ci/*        team-a,team-b  read,write
//   cn:operator                      *              admin
//
// Errors: INVALID_ARGUMENT with the line from ParseCertificateRules; UNAUTHENTICATED with CERTIFICATE_UNKNOWN.
//
//   ATTUNE_ASSIGN_OR_RETURN(std::vector<CertificateRule> rules, ParseCertificateRules(text, path));
//   CertificateAuthenticator certificates(std::move(rules));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/auth/authenticator.h"

namespace attune::auth {

struct CertificateRule {
  std::string pattern;
  std::vector<std::string> projects;
  ScopeSet scopes;
};

// `shown_path` is what messages call the text.
absl::StatusOr<std::vector<CertificateRule>> ParseCertificateRules(std::string_view text, std::string_view shown_path);

class CertificateAuthenticator final : public Authenticator {
 public:
  explicit CertificateAuthenticator(std::vector<CertificateRule> rules) : rules_(std::move(rules)) {}
  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override;

 private:
  const std::vector<CertificateRule> rules_;
};

}  // namespace attune::auth
