// tokens, and the options that every command has for TLS and tokens.
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using TokenCommandsTest = CliTest;

TEST_F(TokenCommandsTest, CreateSaysEverythingToTheServerAndShowsTheSecretOnce) {
  const CliResult result = Run({"tokens", "create", "ci of vision", "--project", "vision", "--project", "text", "--scope", "read", "--scope", "write", "--days", "30"});
  EXPECT_EQ(result.code, kOk) << result.err;
  const v1::CreateTokenRequest& request = server_.admin.created.at(0);
  EXPECT_EQ(request.display_name(), "ci of vision");
  EXPECT_THAT(request.projects(), ElementsAre("vision", "text"));
  EXPECT_THAT(request.scopes(), ElementsAre(v1::SCOPE_READ, v1::SCOPE_WRITE));
  EXPECT_EQ(request.expire_time().seconds(), 1'800'000'000 + 30 * 86400);
  EXPECT_THAT(result.out, HasSubstr("attune_t1_secret\n"));
  EXPECT_THAT(result.out, HasSubstr("attune tokens revoke t1"));
}

TEST_F(TokenCommandsTest, CreateHasDefaults) {
  EXPECT_EQ(Run({"tokens", "create", "me"}).code, kOk);
  const v1::CreateTokenRequest& request = server_.admin.created.at(0);
  EXPECT_THAT(request.projects(), ElementsAre("default"));
  EXPECT_THAT(request.scopes(), ElementsAre(v1::SCOPE_WRITE));
  EXPECT_FALSE(request.has_expire_time());
}

TEST_F(TokenCommandsTest, WrongFlagsAreExplained) {
  EXPECT_THAT(Run({"tokens", "create", "me", "--scope", "root"}).err, HasSubstr("root"));
  EXPECT_EQ(Run({"tokens", "create", "me", "--scope", "root"}).code, kUsage);
  EXPECT_EQ(Run({"tokens", "create", "me", "--days", "-1"}).code, kUsage);
  EXPECT_EQ(Run({"tokens", "create"}).code, kUsage);
  EXPECT_EQ(Run({"tokens", "revoke"}).code, kUsage);
  EXPECT_TRUE(server_.admin.created.empty());
}

TEST_F(TokenCommandsTest, ListAndRevoke) {
  EXPECT_THAT(Run({"tokens", "list"}).out, HasSubstr("no tokens"));
  Run({"tokens", "create", "one", "--project", "*", "--scope", "admin"});
  Run({"tokens", "create", "two", "--days", "1"});
  EXPECT_THAT(Run({"tokens", "revoke", "t1"}).out, HasSubstr("Revoked t1 (one)"));
  const CliResult list = Run({"tokens", "list"});
  EXPECT_THAT(list.out, HasSubstr("revoked"));
  EXPECT_THAT(list.out, HasSubstr("until "));
  EXPECT_THAT(list.out, Not(HasSubstr("secret")));
  const CliResult unknown = Run({"tokens", "revoke", "t9"});
  EXPECT_EQ(unknown.code, kNotFound);
  EXPECT_THAT(unknown.err, HasSubstr("attune tokens list"));
}

TEST_F(TokenCommandsTest, ATokenComesFromAFileAndItsLineEndDoesNotMatter) {
  EXPECT_EQ(Run({"tokens", "list", "--token-file", Put("token", "attune_t1_secret\n")}).code, kOk);
  EXPECT_THAT(server_.admin.authorizations, ElementsAre("Bearer attune_t1_secret"));
}

TEST_F(TokenCommandsTest, FilesThatAreNotThereAreNamed) {
  for (const char* option : {"--token-file", "--ca-file", "--client-certificate-file", "--client-key-file"}) {
    const CliResult result = Run({"tokens", "list", option, "/no/such/file"});
    EXPECT_NE(result.code, kOk) << option;
    EXPECT_THAT(result.err, HasSubstr("/no/such/file")) << option;
  }
}

}  // namespace
}  // namespace attune::cli
