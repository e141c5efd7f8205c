#include "server/auth/certificate_authenticator.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/auth/auth_errors.h"
#include "server/base/glob.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr std::string_view kKinds[] = {"uri:", "dns:", "email:", "cn:"};
constexpr size_t kMaxNameBytes = 255;

// Names with what could garble a log, or hide behind a NUL, are not names of anybody.
bool IsUsable(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::vector<std::string> NamesOf(const PeerCertificate& certificate) {
  std::vector<std::string> names;
  const auto add = [&names](std::string_view kind, const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      if (IsUsable(value)) names.push_back(StrCat(kind, value));
    }
  };
  add("uri:", certificate.uris);
  add("dns:", certificate.dns_names);
  add("email:", certificate.emails);
  const bool has_alternatives = !certificate.uris.empty() || !certificate.dns_names.empty() || !certificate.emails.empty();
  if (!has_alternatives) add("cn:", {certificate.common_name});
  return names;
}

absl::StatusOr<CertificateRule> ParseRule(absl::string_view line) {
  std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != 3) return absl::InvalidArgumentError("a rule is: PATTERN PROJECTS SCOPES, for example \"cn:ann team-a read,write\"");
  CertificateRule rule = {.pattern = words[0], .projects = absl::StrSplit(words[1], ',')};
  if (std::none_of(std::begin(kKinds), std::end(kKinds), [&](std::string_view kind) { return rule.pattern.compare(0, kind.size(), kind) == 0; })) {
    return absl::InvalidArgumentError(StrCat("\"", absl::CHexEscape(rule.pattern.substr(0, 80)), "\" does not begin with uri:, dns:, email: or cn:"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckGlob(rule.pattern));
  ATTUNE_RETURN_IF_ERROR(CheckProjects(rule.projects));
  ATTUNE_ASSIGN_OR_RETURN(rule.scopes, ParseScopes(words[2]));
  if (rule.scopes.empty()) return absl::InvalidArgumentError("scopes: name at least one of read, write, admin");
  return rule;
}

}  // namespace

absl::StatusOr<std::vector<CertificateRule>> ParseCertificateRules(std::string_view text, std::string_view shown_path) {
  std::vector<CertificateRule> rules;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(AbslView(text), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    absl::StatusOr<CertificateRule> rule = ParseRule(line);
    if (!rule.ok()) return absl::InvalidArgumentError(StrCat(shown_path, ":", number, ": ", std::string(rule.status().message())));
    rules.push_back(*std::move(rule));
  }
  return rules;
}

absl::StatusOr<Identity> CertificateAuthenticator::Authenticate(const Credentials& credentials) {
  if (!credentials.encrypted || !credentials.certificate.has_value()) return Unauthenticated("CREDENTIALS_MISSING", "no client certificate was shown; connect with one");
  const PeerCertificate& certificate = *credentials.certificate;
  const std::vector<std::string> names = NamesOf(certificate);
  for (const CertificateRule& rule : rules_) {
    for (const std::string& name : names) {
      if (!GlobMatches(rule.pattern, name)) continue;
      return Identity{.subject = name,
                      .kind = IdentityKind::kCertificate,
                      .projects = rule.projects,
                      .scopes = rule.scopes,
                      .credential_id = StrCat("sha256:", Sha256Hex(certificate.pem).substr(0, 32))};
    }
  }
  // Its owner's names, proved by the handshake: no secret.
  return Unauthenticated("CERTIFICATE_UNKNOWN", StrCat("the client certificate is genuine, but no rule of this server names its owner (", names.empty() ? std::string("it has no usable name") : absl::StrJoin(names, ", "),
                                                       "); ask an administrator to add one"));
}

}  // namespace attune::auth
