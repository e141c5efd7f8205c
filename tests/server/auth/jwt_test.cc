#include "server/auth/jwt/jwt_authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <optional>

#include "server/auth/auth_errors.h"
#include "server/auth/jwt/base64url.h"
#include "server/auth/jwt/strict_json.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/auth/test_keys.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kIssuer[] = "https://issuer.example";
constexpr char kRsHeader[] = R"({"alg":"RS256","kid":"rsa-1","typ":"JWT"})";
constexpr char kEsHeader[] = R"({"alg":"ES256","kid":"ec-1"})";

// Keys take long to make: once for all tests.
const TestKey& RsaKey() {
  static const TestKey& key = *new TestKey(TestKey::Rsa());
  return key;
}
const TestKey& EcKey() {
  static const TestKey& key = *new TestKey(TestKey::Ec());
  return key;
}

std::string Hmac(std::string_view secret, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), size);
}

class JwtTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(source_.Refresh().ok()); }

  // Claims of a good token, with `more` at the end: R"(,"nbf":1)".
  std::string Claims(std::string_view more = "", std::string_view issuer = kIssuer, std::string_view audience = "\"attune\"") {
    return StrCat(R"({"iss":")", issuer, R"(","aud":)", audience, R"(,"sub":"ann","exp":)", absl::ToUnixSeconds(clock_.Now()) + 60, more, "}");
  }
  absl::StatusOr<Identity> Show(const std::string& token) { return jwt_.Authenticate({.bearer_token = token, .encrypted = true}); }
  std::string Refused(const std::string& token) {
    const absl::StatusOr<Identity> identity = Show(token);
    EXPECT_EQ(identity.status().code(), absl::StatusCode::kUnauthenticated) << identity.status();
    if (token.size() > 60) {
      EXPECT_THAT(std::string(identity.status().message()), Not(HasSubstr(token.substr(token.size() - 20)))) << "a message holds a part of the token";
    }
    return ReasonOf(identity.status());
  }

  ManualClock clock_;
  std::string set_ = StrCat(R"({"keys":[)", RsaKey().ToJwk("rsa-1", R"("use":"sig",)"), ",", EcKey().ToJwk("ec-1", R"("alg":"ES256",)"), "]}");
  JwksSource source_{{.own_thread = false}, [this] { return set_; }, clock_};
  JwtAuthenticator jwt_{{.issuer = kIssuer, .audience = "attune"}, source_, clock_};
};

TEST_F(JwtTest, AGoodOneIsBelieved) {
  const std::string claims = Claims(R"(,"attune_projects":["team-a","Not An Id","team-b"],"scope":"openid write read","jti":"j-1")");
  for (const std::string& token : {SignJwt(RsaKey(), kRsHeader, claims), SignJwt(EcKey(), kEsHeader, claims)}) {
    const absl::StatusOr<Identity> identity = Show(token);
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->subject, "ann");
    EXPECT_EQ(identity->kind, IdentityKind::kJwt);
    EXPECT_EQ(identity->projects, (std::vector<std::string>{"team-a", "team-b"}));
    EXPECT_EQ(identity->scopes, ScopeSet({Scope::kRead, Scope::kWrite}));
    EXPECT_EQ(identity->credential_id, "j-1");
  }
}

TEST_F(JwtTest, ManySignaturesOfP256) {
  // About one of 128 r and s has a leading zero byte, and half of them the highest bit: each needs its own DER.
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(Show(SignJwt(EcKey(), kEsHeader, Claims(StrCat(R"(,"i":)", i)))).ok());
}

TEST_F(JwtTest, ClaimsBecomeScopesAndProjects) {
  struct Case {
    std::string claims, scopes;
    std::vector<std::string> projects;
  };
  const std::vector<Case> table = {
      {"", "", {}},
      {R"(,"scope":["read","profile"],"attune_projects":"team-a")", "read", {"team-a"}},
      {R"(,"scope":"admin","attune_projects":"*")", "admin", {"*"}},
      {R"(,"scope":"","attune_projects":["team-a","*"])", "", {"*"}},
      {R"(,"scope":"READ root reader","attune_projects":["../x",""])", "", {}},
  };
  for (const Case& c : table) {
    const absl::StatusOr<Identity> identity = Show(SignJwt(EcKey(), kEsHeader, Claims(c.claims)));
    ASSERT_TRUE(identity.ok()) << c.claims << identity.status();
    EXPECT_EQ(ScopesToText(identity->scopes), c.scopes) << c.claims;
    EXPECT_EQ(identity->projects, c.projects) << c.claims;
  }
  JwtAuthenticator other({.issuer = kIssuer, .audience = "attune", .projects_claim = "groups", .scopes_claim = "scp", .scope_prefix = "attune."}, source_, clock_);
  const std::string token = SignJwt(EcKey(), kEsHeader, Claims(R"(,"scope":"admin","scp":["attune.write","read"],"groups":["g"],"attune_projects":"x")"));
  const absl::StatusOr<Identity> identity = other.Authenticate({.bearer_token = token});
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(ScopesToText(identity->scopes), "write") << "without the prefix it is another service's";
  EXPECT_EQ(identity->projects, std::vector<std::string>{"g"});
}

TEST_F(JwtTest, WhoseAudienceIsAmongSeveral) { EXPECT_TRUE(Show(SignJwt(EcKey(), kEsHeader, Claims("", kIssuer, R"(["other","attune"])"))).ok()); }

TEST_F(JwtTest, TypesOfTokens) {
  for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+jwt"}) EXPECT_TRUE(Show(SignJwt(EcKey(), StrCat(R"({"alg":"ES256","kid":"ec-1","typ":")", type, "\"}"), Claims())).ok()) << type;
  for (const char* type : {"\"logout+jwt\"", "\"dpop+jwt\"", "\"\"", "7", "null"}) {
    EXPECT_EQ(Refused(SignJwt(EcKey(), StrCat(R"({"alg":"ES256","kid":"ec-1","typ":)", type, "}"), Claims())), "CREDENTIALS_MALFORMED") << type;
  }
}

// The attacks that JWT libraries have fallen for (RFC 8725, section 2).
TEST_F(JwtTest, AlgorithmIsTheKeysNotTheTokens) {
  const std::string good = Unsigned(kRsHeader, Claims());
  const auto with_header = [&](std::string_view header) { return Unsigned(header, Claims()); };
  for (const char* none : {"none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS512", "PS256", "ES384", "EdDSA", "rs256", "RS256 "}) {
    const std::string text = with_header(StrCat(R"({"alg":")", none, R"(","kid":"rsa-1"})"));
    EXPECT_EQ(Refused(text + "."), "JWT_ALGORITHM") << none;
    EXPECT_EQ(Refused(StrCat(text, ".", EncodeBase64Url(RsaKey().Sign(text)))), "JWT_ALGORITHM") << none;
  }
  for (const char* no_text : {R"({"kid":"rsa-1"})", R"({"alg":null,"kid":"rsa-1"})", R"({"alg":["RS256"],"kid":"rsa-1"})", R"({"alg":0,"kid":"rsa-1"})"}) {
    const std::string text = with_header(no_text);
    EXPECT_EQ(Refused(StrCat(text, ".", EncodeBase64Url(RsaKey().Sign(text)))), "JWT_ALGORITHM") << no_text;
  }
  // HS256 with what everybody knows of the RSA key as its secret.
  const std::string hs = with_header(R"({"alg":"HS256","kid":"rsa-1"})");
  for (const std::string& secret : {RsaKey().PublicPem(), RsaKey().Parameter(OSSL_PKEY_PARAM_RSA_N), RsaKey().ToJwk("rsa-1")}) {
    EXPECT_EQ(Refused(StrCat(hs, ".", EncodeBase64Url(Hmac(secret, hs)))), "JWT_ALGORITHM");
    EXPECT_EQ(Refused(StrCat(good, ".", EncodeBase64Url(Hmac(secret, good)))), "JWT_SIGNATURE");
  }
  // The right algorithm of another key.
  EXPECT_EQ(Refused(SignJwt(RsaKey(), R"({"alg":"RS256","kid":"ec-1"})", Claims())), "JWT_ALGORITHM");
  EXPECT_EQ(Refused(SignJwt(EcKey(), R"({"alg":"ES256","kid":"rsa-1"})", Claims())), "JWT_ALGORITHM");
}

TEST_F(JwtTest, ForeignAndBrokenSignatures) {
  const TestKey foreign = TestKey::Ec();
  EXPECT_EQ(Refused(SignJwt(foreign, kEsHeader, Claims())), "JWT_SIGNATURE");
  EXPECT_EQ(Refused(SignJwt(TestKey::Rsa(), kRsHeader, Claims())), "JWT_SIGNATURE");
  // A token that brings its key along.
  EXPECT_EQ(Refused(SignJwt(foreign, StrCat(R"({"alg":"ES256","kid":"ec-1","jwk":)", foreign.ToJwk("ec-1"), R"(,"jku":"https://evil.example/jwks"})"), Claims())), "JWT_SIGNATURE");
  const std::string text = Unsigned(kEsHeader, Claims());
  const std::string signature = EcKey().Sign(text);
  const std::string zero(32, '\0'), high(32, '\xff');
  std::string order, r = signature.substr(0, 32), s = signature.substr(32);
  for (const char* word : {"FFFFFFFF", "00000000", "FFFFFFFF", "FFFFFFFF", "BCE6FAAD", "A7179E84", "F3B9CAC2", "FC632551"}) {
    const auto value = static_cast<uint32_t>(std::strtoul(word, nullptr, 16));
    for (int shift = 24; shift >= 0; shift -= 8) order += static_cast<char>((value >> shift) & 0xff);
  }
  const std::vector<std::pair<std::string, std::string>> table = {
      {"none", ""}, {"zeros", zero + zero}, {"r is 0", zero + s}, {"s is 0", r + zero}, {"r is n", order + s}, {"s is n", r + order}, {"r is huge", high + s}, {"s is huge", r + high},
      {"short", signature.substr(0, 63)}, {"long", signature + std::string(1, '\0')}, {"swapped", s + r}, {"one byte", "x"}, {"DER", std::string("\x30\x06\x02\x01\x01\x02\x01\x01", 8)},
  };
  for (const auto& [name, bytes] : table) EXPECT_EQ(Refused(StrCat(text, ".", EncodeBase64Url(bytes))), "JWT_SIGNATURE") << name;
  const std::string rsa_text = Unsigned(kRsHeader, Claims());
  const std::string rsa = RsaKey().Sign(rsa_text);
  for (const std::string& bytes : {std::string(), rsa.substr(0, 255), rsa + std::string(1, '\0'), std::string(256, '\0'), std::string(256, '\xff')}) {
    EXPECT_EQ(Refused(StrCat(rsa_text, ".", EncodeBase64Url(bytes))), "JWT_SIGNATURE") << bytes.size();
  }
  EXPECT_EQ(Refused(StrCat(rsa_text, ".", EncodeBase64Url(RsaKey().Sign(rsa_text, EVP_sha512())))), "JWT_SIGNATURE") << "RS512 under the name of RS256";
  // Every bit of the claims counts.
  EXPECT_EQ(Refused(StrCat(Unsigned(kEsHeader, Claims(R"(,"scope":"admin")")), ".", EncodeBase64Url(signature))), "JWT_SIGNATURE");
}

TEST_F(JwtTest, KeyIds) {
  const auto of = [&](std::string_view kid_json) { return SignJwt(EcKey(), StrCat(R"({"alg":"ES256","kid":)", kid_json, "}"), Claims()); };
  for (const char* trick : {R"("../../../../dev/null")", R"("/etc/passwd")", R"("https://evil.example/key")", R"("ec-1' UNION SELECT 'x")", R"("ec-1\u0000")", R"("EC-1")", R"("ec-1 ")", R"("rsa-2")"}) {
    EXPECT_EQ(Refused(of(trick)), "JWT_KEY_UNKNOWN") << trick;
  }
  for (const char* wrong : {"\"\"", "null", "1", "[\"ec-1\"]", "{}"}) EXPECT_EQ(Refused(of(wrong)), "CREDENTIALS_MALFORMED") << wrong;
  EXPECT_EQ(Refused(of(StrCat("\"", std::string(257, 'k'), "\""))), "CREDENTIALS_MALFORMED");
  EXPECT_EQ(Refused(SignJwt(EcKey(), R"({"alg":"ES256"})", Claims())), "JWT_KEY_UNKNOWN") << "which of two?";
  set_ = StrCat(R"({"keys":[)", EcKey().ToJwk("ec-1"), "]}");
  ASSERT_TRUE(source_.Refresh().ok());
  EXPECT_TRUE(Show(SignJwt(EcKey(), R"({"alg":"ES256"})", Claims())).ok()) << "there is only one";
}

TEST_F(JwtTest, Forms) {
  const std::string good = SignJwt(EcKey(), kEsHeader, Claims());
  const size_t first = good.find('.'), last = good.rfind('.');
  const std::string header = good.substr(0, first), claims = good.substr(first + 1, last - first - 1), signature = good.substr(last + 1);
  const auto signed_over = [&](const std::string& h, const std::string& c) { return StrCat(h, ".", c, ".", EncodeBase64Url(EcKey().Sign(StrCat(h, ".", c)))); };
  ASSERT_TRUE(Show(signed_over(header, claims)).ok());
  // The last character of 64 signature bytes has four bits too many.
  std::string loose = good;
  loose.back() = loose.back() == 'A' || loose.back() == 'Q' || loose.back() == 'g' || loose.back() == 'w' ? static_cast<char>(loose.back() + 1) : loose.back();
  ASSERT_NE(loose, good);
  const std::string deep = StrCat(R"({"alg":"ES256","kid":"ec-1","x":)", std::string(100, '['), std::string(100, ']'), "}");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"empty", ""},
      {"two dots", ".."},
      {"one dot", StrCat(header, ".", claims)},
      {"three dots", good + ".x"},
      {"four dots, as JWE", "a.b.c.d.e"},
      {"padding", good + "=="},
      {"bits to spare", loose},
      {"white space", StrCat(header, ".", claims, ". ", signature)},
      {"newline", good + "\n"},
      {"standard alphabet", StrCat(header, ".", claims, ".", std::string(85, '+'), "A")},
      {"a NUL", good + std::string(1, '\0')},
      {"no JSON", signed_over(EncodeBase64Url("not json"), claims)},
      {"a list", signed_over(EncodeBase64Url(R"(["alg","ES256"])"), claims)},
      {"null", signed_over(EncodeBase64Url("null"), claims)},
      {"cut JSON", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"ec-1")"), claims)},
      {"text after it", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"ec-1"}{})"), claims)},
      {"a comment", signed_over(EncodeBase64Url(R"({"alg":"ES256",/**/"kid":"ec-1"})"), claims)},
      {"not UTF-8", signed_over(EncodeBase64Url("{\"alg\":\"ES256\",\"kid\":\"ec-1\",\"x\":\"\xff\"}"), claims)},
      {"alg twice", signed_over(EncodeBase64Url(R"({"alg":"none","alg":"ES256","kid":"ec-1"})"), claims)},
      {"alg twice, once escaped", signed_over(EncodeBase64Url(R"({"alg":"ES256","\u0061lg":"ES256","kid":"ec-1"})"), claims)},
      {"kid twice", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"rsa-1","kid":"ec-1"})"), claims)},
      {"crit", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"ec-1","crit":["exp"]})"), claims)},
      {"empty crit", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"ec-1","crit":[]})"), claims)},
      {"b64", signed_over(EncodeBase64Url(R"({"alg":"ES256","kid":"ec-1","b64":false,"crit":["b64"]})"), claims)},
      {"deep", signed_over(EncodeBase64Url(deep), claims)},
      {"a huge header", signed_over(EncodeBase64Url(StrCat(R"({"alg":"ES256","kid":"ec-1","x":")", std::string(1000, 'x'), "\"}")), claims)},
      {"huge", signed_over(header, EncodeBase64Url(Claims(StrCat(R"(,"x":")", std::string(8000, 'x'), "\""))))},
      {"iss twice", SignJwt(EcKey(), kEsHeader, Claims(R"(,"iss":"https://issuer.example")"))},
      {"a name twice below", SignJwt(EcKey(), kEsHeader, Claims(R"(,"x":{"a":1,"a":2})"))},
      {"claims that are no JSON", SignJwt(EcKey(), kEsHeader, "exp")},
      {"no claims", SignJwt(EcKey(), kEsHeader, "")},
  };
  for (const auto& [name, token] : table) EXPECT_EQ(Refused(token), "CREDENTIALS_MALFORMED") << name;
  EXPECT_TRUE(Show(SignJwt(EcKey(), kEsHeader, Claims(R"(,"x":{"a":1},"y":{"a":2})"))).ok()) << "in two objects, a name may be the same";
}

TEST_F(JwtTest, Parties) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {Claims("", "https://issuer.example/"), "JWT_ISSUER"},
      {Claims("", "https://ISSUER.example"), "JWT_ISSUER"},
      {Claims("", "https://issuer.example.evil.example"), "JWT_ISSUER"},
      {Claims("", ""), "JWT_ISSUER"},
      {R"({"aud":"attune","sub":"ann","exp":4000000000})", "JWT_ISSUER"},
      {R"({"iss":["https://issuer.example"],"aud":"attune","sub":"ann","exp":4000000000})", "JWT_ISSUER"},
      {Claims("", kIssuer, "\"other\""), "JWT_AUDIENCE"},
      {Claims("", kIssuer, "\"attune2\""), "JWT_AUDIENCE"},
      {Claims("", kIssuer, "[]"), "JWT_AUDIENCE"},
      {Claims("", kIssuer, "null"), "JWT_AUDIENCE"},
      {Claims("", kIssuer, R"(["attune",7])"), "JWT_AUDIENCE"},
      {Claims("", kIssuer, R"({"attune":1})"), "JWT_AUDIENCE"},
      {R"({"iss":"https://issuer.example","sub":"ann","exp":4000000000})", "JWT_AUDIENCE"},
  };
  for (const auto& [claims, reason] : table) EXPECT_EQ(Refused(SignJwt(EcKey(), kEsHeader, claims)), reason) << claims;
}

TEST_F(JwtTest, DatesAndOtherClaims) {
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  const auto dated = [&](std::string_view dates) { return SignJwt(EcKey(), kEsHeader, StrCat(R"({"iss":"https://issuer.example","aud":"attune","sub":"ann")", dates, "}")); };
  const auto exp = [&](int64_t seconds) { return StrCat(R"(,"exp":)", now + seconds); };
  const std::vector<std::pair<std::string, std::string>> table = {
      {exp(1), ""},
      {exp(-29), ""},
      {StrCat(R"(,"exp":)", now + 10, ".5"), ""},
      {exp(-30), "JWT_EXPIRED"},
      {exp(-100'000), "JWT_EXPIRED"},
      {R"(,"exp":0)", "JWT_EXPIRED"},
      {exp(60) + StrCat(R"(,"nbf":)", now + 30), ""},
      {exp(60) + StrCat(R"(,"nbf":)", now + 31), "JWT_NOT_YET_VALID"},
      {exp(60) + StrCat(R"(,"iat":)", now + 31), "JWT_NOT_YET_VALID"},
      {exp(60) + StrCat(R"(,"iat":)", now - 1000), ""},
      {"", "JWT_CLAIMS"},
      {R"(,"exp":"4000000000")", "JWT_CLAIMS"},
      {R"(,"exp":null)", "JWT_CLAIMS"},
      {R"(,"exp":true)", "JWT_CLAIMS"},
      {R"(,"exp":-1)", "JWT_CLAIMS"},
      {R"(,"exp":1e300)", "JWT_CLAIMS"},
      {R"(,"exp":18446744073709551615)", "JWT_CLAIMS"},
      {exp(60) + R"(,"nbf":"now")", "JWT_CLAIMS"},
      {exp(60) + R"(,"scope":7)", "JWT_CLAIMS"},
      {exp(60) + R"(,"scope":["read",7])", "JWT_CLAIMS"},
      {exp(60) + R"(,"attune_projects":{"team-a":true})", "JWT_CLAIMS"},
  };
  for (const auto& [dates, reason] : table) {
    const std::string token = dated(dates);
    if (reason.empty()) {
      EXPECT_TRUE(Show(token).ok()) << dates << Show(token).status();
    } else {
      EXPECT_EQ(Refused(token), reason) << dates;
    }
  }
  for (const std::string& subject : {std::string("\"\""), std::string("null"), std::string("7"), std::string(R"("a\nb")"), StrCat("\"", std::string(256, 'x'), "\"")}) {
    EXPECT_EQ(Refused(SignJwt(EcKey(), kEsHeader, StrCat(R"({"iss":"https://issuer.example","aud":"attune","exp":4000000000,"sub":)", subject, "}"))), "JWT_CLAIMS") << subject;
  }
  const std::string brief = SignJwt(EcKey(), kEsHeader, Claims());
  EXPECT_TRUE(Show(brief).ok());
  clock_.Advance(absl::Seconds(90));
  EXPECT_EQ(Refused(brief), "JWT_EXPIRED");
}

TEST_F(JwtTest, NothingOfTheClaimsIsLookedAtBeforeTheSignature) {
  const std::string text = StrCat(EncodeBase64Url(kEsHeader), ".", EncodeBase64Url("not json"));
  EXPECT_EQ(Refused(StrCat(text, ".", EncodeBase64Url(std::string(64, 'x')))), "JWT_SIGNATURE");
}

TEST(JwtOptionsTest, WhatIsMissingIsTold) {
  EXPECT_TRUE(CheckJwtOptions({.issuer = "i", .audience = "a"}).ok());
  EXPECT_FALSE(CheckJwtOptions({.audience = "a"}).ok());
  EXPECT_FALSE(CheckJwtOptions({.issuer = "i"}).ok());
  EXPECT_FALSE(CheckJwtOptions({.issuer = "i", .audience = "a", .scopes_claim = ""}).ok());
  EXPECT_FALSE(CheckJwtOptions({.issuer = "i", .audience = "a", .leeway = absl::Minutes(6)}).ok());
}

TEST(Base64Url, OneTextForAnyBytes) {
  const std::vector<std::pair<std::string, std::string>> pairs = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xff\xfe", "__4"}, {"\xfb\xff", "-_8"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(EncodeBase64Url(bytes), text);
    EXPECT_EQ(DecodeBase64Url(text), bytes);
  }
  for (const char* text : {"Z", "Zg==", "Zm8=", "Zh", "Zm9", "Zm 8", "Zm8\n", "+/8", "Zm9vY", "Zg.", "%20"}) EXPECT_EQ(DecodeBase64Url(text), std::nullopt) << text;
  EXPECT_EQ(DecodeBase64Url(std::string_view("Z\0g", 3)), std::nullopt);
  int accepted = 0;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      const std::optional<std::string> bytes = DecodeBase64Url(text);
      if (!bytes.has_value()) continue;
      ++accepted;
      EXPECT_EQ(EncodeBase64Url(*bytes), text);
    }
  }
  EXPECT_EQ(accepted, 256);
}

TEST(StrictJson, Depth) {
  EXPECT_TRUE(ParseStrictObject(R"({"a":[[1]]})", 3).ok());
  EXPECT_FALSE(ParseStrictObject(R"({"a":[[[1]]]})", 3).ok());
  EXPECT_FALSE(ParseStrictObject(std::string(100'000, '[')).ok());
  EXPECT_FALSE(ParseStrictObject("").ok());
}

}  // namespace
}  // namespace attune::auth
