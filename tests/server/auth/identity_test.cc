#include "server/auth/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/auth/auth_errors.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

TEST(Scopes, AWiderOneIncludesTheNarrower) {
  EXPECT_FALSE(ScopeSet().Allows(Scope::kRead));
  EXPECT_TRUE(ScopeSet({Scope::kRead}).Allows(Scope::kRead));
  EXPECT_FALSE(ScopeSet({Scope::kRead}).Allows(Scope::kWrite));
  EXPECT_TRUE(ScopeSet({Scope::kWrite}).Allows(Scope::kRead));
  EXPECT_FALSE(ScopeSet({Scope::kRead, Scope::kWrite}).Allows(Scope::kAdmin));
  EXPECT_TRUE(ScopeSet({Scope::kAdmin}).Allows(Scope::kRead));
  EXPECT_TRUE(ScopeSet({Scope::kAdmin}).Allows(Scope::kAdmin));
}

TEST(Scopes, TextThereAndBack) {
  for (const char* text : {"", "read", "write", "read,write", "read,write,admin"}) EXPECT_EQ(ScopesToText(*ParseScopes(text)), text);
  EXPECT_EQ(*ParseScopes("admin,read"), ScopeSet({Scope::kRead, Scope::kAdmin}));
  absl::Status unknown = ParseScopes("read,root\x1b").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("\"root\\x1b\" is not one of read, write, admin"));
  EXPECT_FALSE(ParseScopes("READ").ok());
}

TEST(Projects, AreOnesOwnOrAll) {
  const Identity of_two = {.subject = "ci", .projects = {"team-a", "default"}};
  EXPECT_TRUE(MayUseProject(of_two, "team-a"));
  EXPECT_TRUE(MayUseProject(of_two, "")) << "the default project";
  EXPECT_FALSE(MayUseProject(of_two, "team-b"));
  EXPECT_FALSE(MayUseProject(of_two, "*"));
  EXPECT_TRUE(MayUseProject({.projects = {"*"}}, "team-b"));
  EXPECT_FALSE(MayUseProject({}, ""));
  const absl::Status denied = RequireProject(of_two, "team-b");
  EXPECT_EQ(denied.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(denied), "PROJECT_DENIED");
  EXPECT_THAT(std::string(denied.message()), HasSubstr("team-a, default"));
}

TEST(Projects, OfACredentialAreIdsOrTheStar) {
  EXPECT_TRUE(CheckProjects({"*"}).ok());
  EXPECT_TRUE(CheckProjects({"a", "team-b"}).ok());
  EXPECT_FALSE(CheckProjects({}).ok());
  EXPECT_FALSE(CheckProjects({"a", "*"}).ok());
  EXPECT_FALSE(CheckProjects({"Team"}).ok());
  EXPECT_FALSE(CheckProjects({"a,b"}).ok()) << "a comma would make two of it";
  EXPECT_FALSE(CheckProjects(std::vector<std::string>(101, "a")).ok());
}

TEST(Scope, AMissingOneSaysWhatIsNeededAndWhatIsThere) {
  EXPECT_TRUE(RequireScope({.scopes = {Scope::kAdmin}}, Scope::kWrite, "CreateUpload").ok());
  const absl::Status status = RequireScope({.subject = "ci", .scopes = {Scope::kRead}}, Scope::kWrite, "CreateUpload");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(status), "SCOPE_MISSING");
  EXPECT_THAT(std::string(status.message()), HasSubstr("CreateUpload needs scope \"write\", and \"ci\" has read"));
  EXPECT_THAT(std::string(RequireScope({}, Scope::kRead, "x").message()), HasSubstr("has none"));
}

}  // namespace
}  // namespace attune::auth
