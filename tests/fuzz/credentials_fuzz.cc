// What strangers show to say who they are, and what operators write about it: JWTs (whole, and with claims that their issuer has signed), key sets, API tokens, rules for certificates. A first byte says
// which.
#include "server/auth/certificate_authenticator.h"
#include "server/auth/jwt/jwt_authenticator.h"
#include "server/auth/tokens/token_text.h"
#include "server/base/utf8.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fuzz/driver/fuzz.h"
#include "tests/server/auth/test_keys.h"

namespace attune::fuzz {
namespace {

using namespace auth;

struct Issuer {
  Issuer() { Require(keys.Refresh().ok(), "the issuer's keys are read"); }
  const TestKey key = TestKey::Ec();
  const std::string set = StrCat(R"({"keys":[)", key.ToJwk("k1"), "]}");
  ManualClock clock;
  JwksSource keys{{.own_thread = false}, [this] { return absl::StatusOr<std::string>(set); }, clock};
  JwtAuthenticator jwt{{.issuer = "https://issuer.test", .audience = "attune"}, keys, clock};
};

// Who is believed is somebody, with projects that can be.
void Judge(const absl::StatusOr<Identity>& identity) {
  if (!identity.ok()) {
    Require(absl::IsUnauthenticated(identity.status()) || absl::IsUnavailable(identity.status()), "a stranger is UNAUTHENTICATED");
    Require(!FirstInvalidUtf8(std::string(identity.status().message())), "a refusal is UTF-8");
    return;
  }
  Require(!identity->subject.empty() && !FirstInvalidUtf8(identity->subject), "who is believed has a name");
  Require(identity->projects.empty() || CheckProjects(identity->projects).ok(), "projects are ids, or all");
}

void ShowToken(std::string_view token) {
  const auto parsed = ParseTokenText(token);
  if (!parsed.ok()) return Require(absl::IsUnauthenticated(parsed.status()), "what is no token is UNAUTHENTICATED");
  Require(parsed->ToText() == token, "a token is read to the letter");
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attune::fuzz;
  static Issuer& issuer = *new Issuer;
  Pieces pieces(Input(data, size));
  const uint8_t kind = pieces.Byte();
  const std::string rest(pieces.rest());
  switch (kind % 5) {
    case 0: {
      const auto identity = issuer.jwt.Authenticate({.bearer_token = rest, .encrypted = true});
      Require(!identity.ok(), "nobody guesses a signature");
      Judge(identity);
      break;
    }
    case 1:  // behind the signature, which an input does not hit upon
      Judge(issuer.jwt.Authenticate({.bearer_token = SignJwt(issuer.key, R"({"alg":"ES256","kid":"k1"})", rest), .encrypted = true}));
      break;
    case 2: {
      const auto keys = JwkSet::Parse(rest);
      Require(!keys.ok() || (*keys)->size() > 0, "a key set has a key");
      break;
    }
    case 3:
      ShowToken(rest);
      break;
    default: {
      const auto rules = ParseCertificateRules(rest, "rules");
      if (!rules.ok()) break;
      CertificateAuthenticator certificates(*rules);
      Judge(certificates.Authenticate({.certificate = PeerCertificate{.common_name = rest.substr(0, 40), .dns_names = {"ci.example"}}, .encrypted = true}));
    }
  }
  return 0;
}
