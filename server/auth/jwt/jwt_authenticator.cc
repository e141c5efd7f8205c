#include "server/auth/jwt/jwt_authenticator.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "server/auth/auth_errors.h"
#include "server/auth/jwt/base64url.h"
#include "server/auth/jwt/strict_json.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr size_t kMaxHeaderBytes = 1 << 10;
constexpr size_t kMaxSubjectBytes = 255;  // OpenID Connect Core, section 2
constexpr size_t kMaxProjects = 100;
constexpr double kLatestDate = 253'402'300'799;  // the end of the year 9999
constexpr absl::Duration kMaxLeeway = absl::Minutes(5);

absl::Status Malformed(std::string_view what) { return Unauthenticated("CREDENTIALS_MALFORMED", StrCat("the JWT ", what, "; log in again, and copy the token whole")); }
absl::Status WrongClaim(std::string_view what) { return Unauthenticated("JWT_CLAIMS", StrCat("the JWT ", what, "; have its issuer configured for this server")); }

struct JwtParts {
  std::string_view header, claims, signature;  // base64url
  std::string_view signed_text;                // header.claims
};

absl::StatusOr<JwtParts> Split(std::string_view token) {
  if (token.size() > kMaxJwtBytes) return Malformed(StrCat("has ", token.size(), " bytes, over ", kMaxJwtBytes));
  const size_t first = token.find('.'), last = token.rfind('.');
  if (first == token.npos || first == last || token.find('.', first + 1) != last) return Malformed("has not three parts between dots");
  return JwtParts{.header = token.substr(0, first), .claims = token.substr(first + 1, last - first - 1), .signature = token.substr(last + 1), .signed_text = token.substr(0, last)};
}

absl::StatusOr<nlohmann::json> DecodePart(std::string_view name, std::string_view part, size_t max_bytes) {
  if (part.size() > max_bytes) return Malformed(StrCat("has a ", name, " of over ", max_bytes, " bytes"));
  const std::optional<std::string> text = DecodeBase64Url(part);
  if (!text.has_value()) return Malformed(StrCat("has a ", name, " that is not base64url"));
  absl::StatusOr<nlohmann::json> json = ParseStrictObject(*text);
  if (!json.ok()) return Malformed(StrCat("has a ", name, " that ", std::string(json.status().message())));
  return json;
}

// A member's text, or nothing where it is absent or of another type.
std::optional<std::string> TextOf(const nlohmann::json& object, const std::string& name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

struct JwtHeader {
  JwsAlgorithm algorithm;
  std::string kid;  // may be empty
};

absl::StatusOr<JwtHeader> ReadHeader(std::string_view part) {
  ATTUNE_ASSIGN_OR_RETURN(nlohmann::json json, DecodePart("header", part, kMaxHeaderBytes));
  if (json.contains("crit")) return Malformed("has a header with crit, and this server knows no extensions");
  if (json.contains("typ")) {
    const std::string type = absl::AsciiStrToLower(TextOf(json, "typ").value_or(""));
    if (type != "jwt" && type != "at+jwt" && type != "application/at+jwt") return Malformed("is of another type (typ) than JWT or at+jwt");
  }
  JwtHeader header = {};
  const std::string algorithm = TextOf(json, "alg").value_or("");
  if (algorithm == AlgorithmName(JwsAlgorithm::kRs256)) {
    header.algorithm = JwsAlgorithm::kRs256;
  } else if (algorithm == AlgorithmName(JwsAlgorithm::kEs256)) {
    header.algorithm = JwsAlgorithm::kEs256;
  } else {
    return Unauthenticated("JWT_ALGORITHM", "the JWT is not signed with RS256 or ES256; have its issuer configured for one of them");
  }
  if (json.contains("kid")) {
    std::optional<std::string> kid = TextOf(json, "kid");
    if (!kid.has_value() || kid->empty() || kid->size() > kMaxKidBytes) return Malformed(StrCat("has a kid that is not a text of 1 to ", kMaxKidBytes, " bytes"));
    header.kid = *std::move(kid);
  }
  return header;
}

// Texts of a claim that is one text or a list of texts; nothing where it is something else.
std::optional<std::vector<std::string>> TextsOf(const nlohmann::json& claims, const std::string& name) {
  auto found = claims.find(name);
  if (found == claims.end()) return std::vector<std::string>();
  if (found->is_string()) return std::vector<std::string>{found->get<std::string>()};
  if (!found->is_array()) return std::nullopt;
  std::vector<std::string> texts;
  for (const nlohmann::json& item : *found) {
    if (!item.is_string()) return std::nullopt;
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

// A NumericDate: seconds since 1970, with or without a fraction. Nothing where the claim is absent; InfinitePast where it is no date.
std::optional<absl::Time> DateOf(const nlohmann::json& claims, const char* name) {
  auto found = claims.find(name);
  if (found == claims.end()) return std::nullopt;
  const double seconds = found->is_number() ? found->get<double>() : -1;
  if (!(seconds >= 0 && seconds <= kLatestDate)) return absl::InfinitePast();
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

absl::Status CheckDates(const nlohmann::json& claims, absl::Time now, absl::Duration leeway) {
  const std::optional<absl::Time> expires = DateOf(claims, "exp"), not_before = DateOf(claims, "nbf"), issued = DateOf(claims, "iat");
  for (const std::optional<absl::Time>& date : {expires, not_before, issued}) {
    if (date == absl::InfinitePast()) return WrongClaim("has an exp, nbf or iat that is no number of seconds since 1970");
  }
  if (!expires.has_value()) return WrongClaim("does not say when it expires (exp)");
  if (now >= *expires + leeway) return Unauthenticated("JWT_EXPIRED", StrCat("the JWT expired at ", absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", *expires, absl::UTCTimeZone()), "; log in again"));
  if ((not_before.has_value() && now + leeway < *not_before) || (issued.has_value() && now + leeway < *issued)) {
    return Unauthenticated("JWT_NOT_YET_VALID", "the JWT is not valid yet (nbf or iat lies in the future); compare the clocks of the issuer and of this server");
  }
  return absl::OkStatus();
}

absl::Status CheckParties(const nlohmann::json& claims, const JwtOptions& options) {
  if (TextOf(claims, "iss") != options.issuer) return Unauthenticated("JWT_ISSUER", StrCat("the JWT is not of the issuer ", options.issuer, "; log in there"));
  const std::optional<std::vector<std::string>> audiences = TextsOf(claims, "aud");
  if (!audiences.has_value() || std::find(audiences->begin(), audiences->end(), options.audience) == audiences->end()) {
    return Unauthenticated("JWT_AUDIENCE", StrCat("the JWT is not meant for this server; ask the issuer for one with the audience \"", options.audience, "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadSubject(const nlohmann::json& claims) {
  std::optional<std::string> subject = TextOf(claims, "sub");
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  if (!subject.has_value() || subject->empty() || subject->size() > kMaxSubjectBytes || !std::all_of(subject->begin(), subject->end(), is_printable)) {
    return WrongClaim(StrCat("has no sub of 1 to ", kMaxSubjectBytes, " printable ASCII characters"));
  }
  return *std::move(subject);
}

absl::StatusOr<ScopeSet> ReadScopes(const nlohmann::json& claims, const JwtOptions& options) {
  const std::optional<std::vector<std::string>> texts = TextsOf(claims, options.scopes_claim);
  if (!texts.has_value()) return WrongClaim(StrCat("has a claim \"", options.scopes_claim, "\" that is neither a text nor a list of texts"));
  ScopeSet scopes;
  for (const std::string& text : *texts) {
    for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      std::string_view name(word.data(), word.size());
      if (name.substr(0, options.scope_prefix.size()) != options.scope_prefix) continue;
      absl::StatusOr<Scope> scope = ParseScope(name.substr(options.scope_prefix.size()));
      if (scope.ok()) scopes.Add(*scope);
    }
  }
  return scopes;
}

absl::StatusOr<std::vector<std::string>> ReadProjects(const nlohmann::json& claims, const JwtOptions& options) {
  std::optional<std::vector<std::string>> projects = TextsOf(claims, options.projects_claim);
  if (!projects.has_value()) return WrongClaim(StrCat("has a claim \"", options.projects_claim, "\" that is neither a text nor a list of texts"));
  if (projects->size() > kMaxProjects) return WrongClaim(StrCat("names over ", kMaxProjects, " projects"));
  if (std::find(projects->begin(), projects->end(), kAllProjects) != projects->end()) return std::vector<std::string>{std::string(kAllProjects)};
  // Groups of a directory, among which projects are, may have any name; one that is no id names no project.
  projects->erase(std::remove_if(projects->begin(), projects->end(), [](const std::string& id) { return !CheckResourceId(id, "project").ok(); }), projects->end());
  return *std::move(projects);
}

// What logs call the token: its own id if it has a plain one, or its key's.
std::string CredentialId(const nlohmann::json& claims, const std::string& kid) {
  const std::string id = TextOf(claims, "jti").value_or(kid);
  const bool plain = id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~'; });
  return plain ? id : "";
}

}  // namespace

absl::Status CheckJwtOptions(const JwtOptions& options) {
  if (options.issuer.empty()) return absl::InvalidArgumentError("jwt_issuer: is required: the issuer's address, exactly as its tokens have it in iss");
  if (options.audience.empty()) return absl::InvalidArgumentError("jwt_audience: is required: what tokens for this server have in aud; without it, tokens for other services would open this one");
  if (options.projects_claim.empty() || options.scopes_claim.empty()) return absl::InvalidArgumentError("jwt_projects_claim and jwt_scopes_claim: name the claims that hold them");
  if (options.leeway < absl::ZeroDuration() || options.leeway > kMaxLeeway) return absl::InvalidArgumentError("jwt_leeway_seconds: must be from 0 to 300");
  return absl::OkStatus();
}

absl::StatusOr<Identity> JwtAuthenticator::Authenticate(const Credentials& credentials) {
  ATTUNE_ASSIGN_OR_RETURN(JwtParts parts, Split(credentials.bearer_token));
  ATTUNE_ASSIGN_OR_RETURN(JwtHeader header, ReadHeader(parts.header));
  const std::optional<std::string> signature = DecodeBase64Url(parts.signature);
  if (!signature.has_value()) return Malformed("has a signature that is not base64url");
  ATTUNE_ASSIGN_OR_RETURN(Jwk key, keys_.Find(header.kid));
  if (key.algorithm() != header.algorithm) return Unauthenticated("JWT_ALGORITHM", StrCat("the JWT's key is for ", AlgorithmName(key.algorithm()), ", and its header says otherwise"));
  if (!key.Verify(parts.signed_text, *signature)) return Unauthenticated("JWT_SIGNATURE", "the JWT's signature does not hold: it was changed, cut, or signed by somebody else; log in again");
  ATTUNE_ASSIGN_OR_RETURN(nlohmann::json claims, DecodePart("payload", parts.claims, kMaxJwtBytes));
  ATTUNE_RETURN_IF_ERROR(CheckParties(claims, options_));
  ATTUNE_RETURN_IF_ERROR(CheckDates(claims, clock_.Now(), options_.leeway));
  Identity identity = {.kind = IdentityKind::kJwt, .credential_id = CredentialId(claims, header.kid)};
  ATTUNE_ASSIGN_OR_RETURN(identity.subject, ReadSubject(claims));
  ATTUNE_ASSIGN_OR_RETURN(identity.projects, ReadProjects(claims, options_));
  ATTUNE_ASSIGN_OR_RETURN(identity.scopes, ReadScopes(claims, options_));
  return identity;
}

}  // namespace attune::auth
