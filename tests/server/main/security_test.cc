#include "server/main/security/security.h"

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/main/security/quota_file.h"
#include "tests/fakes/manual_clock.h"

namespace attune {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(SecurityOptionsTest, OptionsThatDoNotFitEachOtherAreNamed) {
  struct Case {
    SecurityOptions options;
    const char* option;
  };
  const std::vector<Case> cases = {
      {{.tls_certificate_file = "a.crt"}, "tls_key_file: "},
      {{.tls_key_file = "a.key"}, "tls_key_file: "},
      {{.tls_client_certificates = "require", .tls_client_ca_file = "ca.crt"}, "tls_client_certificates: "},
      {{.tls_certificate_file = "a.crt", .tls_key_file = "a.key", .tls_client_certificates = "request"}, "tls_client_ca_file: "},
      {{.certificate_rules_file = "rules"}, "certificate_rules_file: "},
      {{.auth = "required", .certificate_rules_file = "rules"}, "certificate_rules_file: "},
      {{.jwt_issuer = "https://i", .jwt_audience = "a", .jwt_jwks = "keys"}, "jwt_issuer: "},
      {{.auth = "required", .jwt_audience = "a"}, "jwt_issuer: "},
      {{.auth = "required", .jwt_jwks = "keys"}, "jwt_issuer: "},
      {{.auth = "required", .jwt_issuer = "https://i", .jwt_jwks = "keys"}, "jwt_audience: "},
      {{.auth = "required", .jwt_issuer = "https://i", .jwt_audience = "a"}, "jwt_jwks: "},
      {{.auth = "required", .jwt_issuer = "https://i", .jwt_audience = "a", .jwt_jwks = "http://i/keys"}, "jwt_jwks: "},
  };
  for (const Case& c : cases) {
    const absl::Status status = CheckSecurityOptions(c.options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.option;
    EXPECT_THAT(Message(status), StartsWith(c.option));
  }
  EXPECT_TRUE(CheckSecurityOptions({}).ok());
  EXPECT_TRUE(CheckSecurityOptions({.auth = "required", .jwt_issuer = "https://i", .jwt_audience = "a", .jwt_jwks = "https://i/keys"}).ok());
}

class SecurityTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Security>> Create(const SecurityOptions& options) {
    return Security::Create(options, /*trusted_channel=*/true,
                            {.database = *database_, .files = Files::Posix(), .clock = clock_, .registry = registry_, .data_directory = directory_.path()});
  }
  std::string TokenFile() { return ReadFile(directory_.path() + "/admin.token", 1000).value_or("none"); }

  TemporaryDirectory directory_;
  std::unique_ptr<Database> database_ = Database::Open(directory_.path() + "/attune.db").value();
  prometheus::Registry registry_;
  ManualClock clock_;
};

TEST_F(SecurityTest, TheFirstStartMakesAnAdministratorsTokenForItsOwnersEyes) {
  std::string first;
  {
    auto security = Create({.auth = "required"});
    ASSERT_TRUE(security.ok()) << security.status();
    first = TokenFile();
    EXPECT_THAT(first, StartsWith("attune_"));
    struct stat info = {};
    ASSERT_EQ(stat((directory_.path() + "/admin.token").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    auth::TokenStore& tokens = *(*security)->ForApi().tokens;
    auto identity = tokens.Authenticate({.bearer_token = first.substr(0, first.size() - 1), .encrypted = true});
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_TRUE(identity->scopes.Allows(auth::Scope::kAdmin));
  }
  {
    auto again = Create({.auth = "required"});
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(TokenFile(), first) << "there is one already";
  }
  ASSERT_TRUE(Files::Posix().Remove(directory_.path() + "/admin.token").ok());
  auto without = Create({.auth = "required"});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(TokenFile(), "none") << "the operator has taken it away";
}

TEST_F(SecurityTest, ATokenThatNobodyGotIsReplaced) {
  std::string lost;
  {
    auto security = Create({.auth = "required"});
    ASSERT_TRUE(security.ok()) << security.status();
    lost = TokenFile();
  }
  // Killed between the making of the token and the writing of its file.
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), directory_.path() + "/admin.token", "").ok());
  auto security = Create({.auth = "required"});
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_THAT(TokenFile(), StartsWith("attune_"));
  EXPECT_NE(TokenFile(), lost);
  auth::TokenStore& tokens = *(*security)->ForApi().tokens;
  EXPECT_EQ(tokens.Authenticate({.bearer_token = lost.substr(0, lost.size() - 1), .encrypted = true}).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(tokens.active(), 1);
}

TEST_F(SecurityTest, AnEmptiedFileIsNoReasonToEndTokensThatAreInUse) {
  auto security = Create({.auth = "required"});
  ASSERT_TRUE(security.ok()) << security.status();
  ASSERT_TRUE((*security)->ForApi().tokens->CreateToken({.name = "ci", .projects = {"a"}, .scopes = {auth::Scope::kWrite}}).ok());
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), directory_.path() + "/admin.token", "").ok());
  security->reset();
  security = Create({.auth = "required"});
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_EQ((*security)->ForApi().tokens->active(), 2);
  EXPECT_EQ(TokenFile(), "");
}

TEST_F(SecurityTest, FilesThatAreNotThereAreNamedWithTheirOption) {
  EXPECT_THAT(Message(Create({.tls_certificate_file = "/none.crt", .tls_key_file = "/none.key"}).status()), HasSubstr("tls_certificate_file"));
  EXPECT_THAT(Message(Create({.quotas_file = "/none.yaml"}).status()), StartsWith("quotas_file: "));
}

TEST_F(SecurityTest, WithoutAuthEverybodyIsAnonymousAndThereAreNoTokens) {
  auto security = Create({});
  ASSERT_TRUE(security.ok()) << security.status();
  EXPECT_EQ((*security)->ForApi().tokens, nullptr);
  EXPECT_EQ(TokenFile(), "none");
  auto caller = (*security)->ForApi().gate->Admit("/attune.v1.AdminService/CreateBackup", auth::Credentials{});
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->subject, "anonymous");
}

TEST(QuotaFileTest, ReadsLimitsOfAllAndOfSome) {
  auto quotas = ParseQuotas("default: {requests_per_second: 2.5, watchers: 7}\nprojects:\n  vision:\n    stored_bytes: 100\n    running_jobs: 2\n", "q.yaml");
  ASSERT_TRUE(quotas.ok()) << quotas.status();
  EXPECT_EQ(quotas->limits.requests_per_second, 2.5);
  EXPECT_EQ(quotas->limits.watchers, 7);
  EXPECT_EQ(quotas->projects.at("vision").stored_bytes, 100);
  EXPECT_EQ(quotas->projects.at("vision").running_jobs, 2);
}

TEST(QuotaFileTest, EachFaultIsNamedWithItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"[1]", "q.yaml:1: the file must hold a map default"},
      {"default: {watchers: -1}", "q.yaml:1: watchers must be a whole number from 0"},
      {"default: {watchers: 1.5}", "q.yaml:1: watchers must be a whole number"},
      {"default: {requests_per_second: inf}", "q.yaml:1: requests_per_second must be a number from 0"},
      {"default: {watcher: 1}", "did you mean \"watchers\"?"},
      {"default: 5", "q.yaml:1: limits must be a map"},
      {"projects: [a]", "q.yaml:1: projects must be a map"},
      {"projects:\n  Team A: {uploads: 1}", "q.yaml:2: \"Team A\" is not the id of a project"},
      {"defaults: {}", "unknown key \"defaults\""},
      {"default: {", "not valid YAML"},
  };
  for (const auto& [yaml, message] : cases) {
    const auto quotas = ParseQuotas(yaml, "q.yaml");
    EXPECT_EQ(quotas.status().code(), absl::StatusCode::kInvalidArgument) << yaml;
    EXPECT_THAT(Message(quotas.status()), HasSubstr(message)) << yaml;
  }
}

}  // namespace
}  // namespace attune
