#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/auth/auth_errors.h"
#include "server/auth/certificate_authenticator.h"
#include "server/auth/chain_authenticator.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class NamedAuthenticator final : public Authenticator {
 public:
  explicit NamedAuthenticator(std::string name) : name_(std::move(name)) {}
  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override {
    if (refuse) return Unauthenticated("TOKEN_REVOKED", "no");
    return Identity{.subject = name_};
  }
  bool refuse = false;

 private:
  const std::string name_;
};

class ChainTest : public ::testing::Test {
 protected:
  std::string Outcome(const ChainOptions& options, const Credentials& credentials) {
    const absl::StatusOr<Identity> identity = ChainAuthenticator(options).Authenticate(credentials);
    if (!credentials.bearer_token.empty()) {
      EXPECT_THAT(std::string(identity.status().message()), Not(HasSubstr(credentials.bearer_token)));
    }
    return identity.ok() ? identity->subject : ReasonOf(identity.status());
  }
  NamedAuthenticator tokens_{"token"}, jwt_{"jwt"}, certificates_{"certificate"};
  const ChainOptions all_ = {.tokens = &tokens_, .jwt = &jwt_, .certificates = &certificates_};
  const PeerCertificate certificate_ = {.common_name = "ann", .pem = "PEM"};
};

TEST_F(ChainTest, PicksByForm) {
  EXPECT_EQ(Outcome(all_, {.bearer_token = "attune_x", .encrypted = true}), "token");
  EXPECT_EQ(Outcome(all_, {.bearer_token = "attune_a.b.c", .encrypted = true}), "token");
  EXPECT_EQ(Outcome(all_, {.bearer_token = "eyJ.b.c", .encrypted = true}), "jwt");
  EXPECT_EQ(Outcome(all_, {.certificate = certificate_, .encrypted = true}), "certificate");
  EXPECT_EQ(Outcome(all_, {.bearer_token = "attune_x", .certificate = certificate_, .encrypted = true}), "token");
  EXPECT_EQ(Outcome(all_, {.encrypted = true}), "CREDENTIALS_MISSING");
  for (const char* neither : {"x", "a.b", "a.b.c.d", "ATTUNE_x", "hunter2"}) EXPECT_EQ(Outcome(all_, {.bearer_token = neither, .encrypted = true}), "CREDENTIALS_MALFORMED") << neither;
}

TEST_F(ChainTest, ARefusedTokenDoesNotFallBack) {
  tokens_.refuse = true;
  ChainOptions options = all_;
  options.anonymous = Identity{.subject = "anybody"};
  EXPECT_EQ(Outcome(options, {.bearer_token = "attune_x", .certificate = certificate_, .encrypted = true}), "TOKEN_REVOKED");
  EXPECT_EQ(Outcome(options, {.encrypted = true}), "anybody");
  certificates_.refuse = true;
  EXPECT_EQ(Outcome(options, {.certificate = certificate_, .encrypted = true}), "TOKEN_REVOKED");
}

TEST_F(ChainTest, TokensOnAnOpenChannel) {
  EXPECT_EQ(Outcome(all_, {.bearer_token = "attune_x"}), "CHANNEL_NOT_ENCRYPTED");
  EXPECT_EQ(Outcome(all_, {.bearer_token = "a.b.c"}), "CHANNEL_NOT_ENCRYPTED");
  ChainOptions options = all_;
  options.allow_plaintext_tokens = true;
  EXPECT_EQ(Outcome(options, {.bearer_token = "attune_x"}), "token");
}

TEST_F(ChainTest, WhatIsNotSetUpIsNotTaken) {
  const ChainOptions only_tokens = {.tokens = &tokens_};
  EXPECT_EQ(Outcome(only_tokens, {.bearer_token = "a.b.c", .encrypted = true}), "CREDENTIALS_NOT_TAKEN");
  EXPECT_EQ(Outcome(only_tokens, {.certificate = certificate_, .encrypted = true}), "CREDENTIALS_NOT_TAKEN");
  EXPECT_EQ(Outcome({.jwt = &jwt_}, {.bearer_token = "attune_x", .encrypted = true}), "CREDENTIALS_NOT_TAKEN");
  const absl::Status status = ChainAuthenticator(only_tokens).Authenticate({.encrypted = true}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("this server takes an API token")) << status;
  EXPECT_THAT(std::string(ChainAuthenticator({}).Authenticate({}).status().message()), HasSubstr("its operator has to configure"));
}

std::vector<CertificateRule> Rules(std::string_view text) {
  auto rules = ParseCertificateRules(text, "rules");
  EXPECT_TRUE(rules.ok()) << rules.status();
  return *std::move(rules);
}

TEST(CertificateRules, AreReadLineByLine) {
  const auto rules = Rules("# who\n\n uri:spiffe://x/*\tteam-a,team-b  read,write\r\ncn:op * admin");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].pattern, "uri:spiffe://x/*");
  EXPECT_EQ(rules[0].projects, (std::vector<std::string>{"team-a", "team-b"}));
  EXPECT_EQ(rules[1].scopes, ScopeSet({Scope::kAdmin}));
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"\ncn:a team-a", "rules:2: a rule is"}, {"cn:a team-a read x", "rules:1: a rule is"}, {"spiffe://x a read", "does not begin with uri:"}, {"cn:[a a read", "rules:1:"},
      {"cn:a Team read", "projects"},          {"cn:a a root", "not one of read"},          {"cn:a a ,", "at least one"},
  };
  for (const auto& [text, message] : faults) EXPECT_THAT(std::string(ParseCertificateRules(text, "rules").status().message()), HasSubstr(message)) << text;
}

TEST(CertificateAuthenticator, TheFirstRuleThatFitsDecides) {
  CertificateAuthenticator authenticator(Rules("uri:spiffe://x/ci/* team-a read,write\ndns:*.example.org team-b read\nemail:ann@example.org team-c read\ncn:op * admin"));
  const auto outcome = [&](PeerCertificate certificate, bool encrypted = true) {
    certificate.pem = "PEM";
    const auto identity = authenticator.Authenticate({.certificate = certificate, .encrypted = encrypted});
    return identity.ok() ? StrCat(identity->subject, " ", identity->projects[0]) : ReasonOf(identity.status());
  };
  EXPECT_EQ(outcome({.uris = {"spiffe://x/ci/7"}, .dns_names = {"a.example.org"}}), "uri:spiffe://x/ci/7 team-a");
  EXPECT_EQ(outcome({.uris = {"spiffe://y/ci"}, .dns_names = {"a.example.org"}}), "dns:a.example.org team-b");
  EXPECT_EQ(outcome({.emails = {"ann@example.org"}}), "email:ann@example.org team-c");
  EXPECT_EQ(outcome({.common_name = "op"}), "cn:op *");
  EXPECT_EQ(outcome({.common_name = "op", .dns_names = {"b.other.org"}}), "CERTIFICATE_UNKNOWN") << "beside other names, the common name does not count";
  EXPECT_EQ(outcome({.common_name = "uri:spiffe://x/ci/7"}), "CERTIFICATE_UNKNOWN") << "one kind of name is no other";
  EXPECT_EQ(outcome({.common_name = std::string("op\0", 3)}), "CERTIFICATE_UNKNOWN");
  EXPECT_EQ(outcome({.common_name = "op\n"}), "CERTIFICATE_UNKNOWN");
  EXPECT_EQ(outcome({}), "CERTIFICATE_UNKNOWN");
  EXPECT_EQ(outcome({.common_name = "op"}, /*encrypted=*/false), "CREDENTIALS_MISSING");
  EXPECT_EQ(ReasonOf(authenticator.Authenticate({.encrypted = true}).status()), "CREDENTIALS_MISSING");
}

}  // namespace
}  // namespace attune::auth
