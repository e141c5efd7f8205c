#include "server/auth/tokens/token_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "absl/strings/ascii.h"
#include "server/auth/auth_errors.h"
#include "server/auth/tokens/token_text.h"
#include "server/base/files.h"
#include "tests/fakes/manual_clock.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TokenStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    store_.reset();
    database_.reset();
    auto database = Database::Open(directory_.path() + "/attune.db");
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    auto store = TokenStore::Create(*database_, clock_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  NewToken Make(TokenSpec spec = {.name = "ci", .projects = {"team-a", "team-b"}, .scopes = {Scope::kRead, Scope::kWrite}}) {
    auto made = store_->CreateToken(spec);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  absl::StatusOr<Identity> Show(const std::string& text) { return store_->Authenticate({.bearer_token = text}); }
  std::string Refused(const std::string& text) {
    const absl::StatusOr<Identity> identity = Show(text);
    EXPECT_EQ(identity.status().code(), absl::StatusCode::kUnauthenticated) << identity.status();
    const std::string message(identity.status().message());
    if (text.size() > 80) {
      EXPECT_THAT(message, Not(HasSubstr(text.substr(26, 16)))) << "a message holds a part of the secret";
    }
    return ReasonOf(identity.status());
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<TokenStore> store_;
};

TEST_F(TokenStoreTest, ATokenIsWhatItWasMadeFor) {
  const NewToken made = Make();
  EXPECT_EQ(made.text.size(), 7u + 17 + 1 + 64);
  EXPECT_EQ(made.text.rfind("attune_" + made.info.id + "_", 0), 0u);
  const absl::StatusOr<Identity> identity = Show(made.text);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->subject, "ci");
  EXPECT_EQ(identity->kind, IdentityKind::kToken);
  EXPECT_EQ(identity->projects, (std::vector<std::string>{"team-a", "team-b"}));
  EXPECT_EQ(identity->scopes, ScopeSet({Scope::kRead, Scope::kWrite}));
  EXPECT_EQ(identity->credential_id, made.info.id);
  Open();
  EXPECT_TRUE(Show(made.text).ok()) << "also after a restart";
}

TEST_F(TokenStoreTest, TheDatabaseHoldsNoSecret) {
  const NewToken made = Make();
  const std::string secret = made.text.substr(made.text.size() - 64);
  database_.reset();
  store_.reset();
  const std::vector<std::string> names = ListDirectory(directory_.path()).value();
  ASSERT_FALSE(names.empty());
  for (const std::string& name : names) {
    EXPECT_THAT(*ReadFile(directory_.path() + "/" + name), Not(HasSubstr(secret))) << name;
    EXPECT_THAT(*ReadFile(directory_.path() + "/" + name), Not(HasSubstr(secret.substr(0, 32)))) << name;
  }
}

TEST_F(TokenStoreTest, WhatIsNoTokenIsRefused) {
  const std::string good = Make().text;
  const NewToken other = Make({.name = "other", .projects = {"*"}, .scopes = {Scope::kAdmin}});
  std::string upper = good, wrong_digit = good, foreign_secret = other.text;
  upper = absl::AsciiStrToUpper(good.substr(7));
  wrong_digit.back() = wrong_digit.back() == '0' ? '1' : '0';
  foreign_secret.replace(0, good.size() - 64, good.substr(0, good.size() - 64));  // this id, that secret
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "CREDENTIALS_MALFORMED"},
      {"attune_", "CREDENTIALS_MALFORMED"},
      {good.substr(0, good.size() - 1), "CREDENTIALS_MALFORMED"},
      {good + "0", "CREDENTIALS_MALFORMED"},
      {good + std::string(1 << 20, '0'), "CREDENTIALS_MALFORMED"},
      {"attune_" + upper, "CREDENTIALS_MALFORMED"},
      {good.substr(0, good.size() - 1) + std::string(1, '\0'), "CREDENTIALS_MALFORMED"},
      {good.substr(0, 24) + "-" + good.substr(25), "CREDENTIALS_MALFORMED"},
      {"attune_t' OR 1=1 --" + good.substr(19), "CREDENTIALS_MALFORMED"},
      {wrong_digit, "TOKEN_UNKNOWN"},
      {foreign_secret, "TOKEN_UNKNOWN"},
      {NewTokenText().ToText(), "TOKEN_UNKNOWN"},
  };
  for (const auto& [text, reason] : table) EXPECT_EQ(Refused(text), reason) << text.substr(0, 100);
  EXPECT_TRUE(Show(good).ok());
  EXPECT_EQ(Show(wrong_digit).status().message(), Show(NewTokenText().ToText()).status().message()) << "whether an id exists is nobody's business";
  EXPECT_THAT(std::string(Show(good.substr(0, 80)).status().message()), HasSubstr("is cut (80 characters, not 89)"));
}

TEST_F(TokenStoreTest, RevokedAtOnceAndForEver) {
  const NewToken made = Make();
  ASSERT_TRUE(Show(made.text).ok());
  const absl::Time used = store_->Find(made.info.id)->last_used_time;
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(store_->CheckRevoked(made.text).ok());
  EXPECT_TRUE(store_->CheckRevoked("eyJ.of.another").ok());
  EXPECT_EQ(store_->Find(made.info.id)->last_used_time, used) << "to be asked about is no use";
  const absl::StatusOr<TokenInfo> revoked = store_->Revoke(made.info.id);
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_EQ(ReasonOf(store_->CheckRevoked(made.text)), "TOKEN_REVOKED");
  EXPECT_EQ(revoked->revoke_time, clock_.Now());
  EXPECT_EQ(Refused(made.text), "TOKEN_REVOKED");
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(store_->Revoke(made.info.id)->revoke_time, revoked->revoke_time) << "the first time counts";
  Open();
  EXPECT_EQ(Refused(made.text), "TOKEN_REVOKED");
  EXPECT_EQ(store_->Find(made.info.id)->revoke_time, revoked->revoke_time);
  std::string wrong = made.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_EQ(Refused(wrong), "TOKEN_UNKNOWN") << "that it was revoked is told to its owner alone";
  EXPECT_EQ(store_->Revoke("tnobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->Find("tnobody").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TokenStoreTest, AFailedRevocationIsTold) {
  const NewToken made = Make();
  ASSERT_TRUE(database_->Execute("DROP TABLE auth_tokens").ok());
  EXPECT_FALSE(store_->Revoke(made.info.id).ok());
  EXPECT_TRUE(Show(made.text).ok()) << "memory is never ahead of the database";
  EXPECT_FALSE(store_->CreateToken({.name = "x", .projects = {"*"}, .scopes = {Scope::kRead}}).ok());
  EXPECT_EQ(store_->active(), 1);
}

TEST_F(TokenStoreTest, ExpiresToTheSecond) {
  const NewToken made = Make({.name = "short", .projects = {"*"}, .scopes = {Scope::kRead}, .expire_time = clock_.Now() + absl::Hours(1)});
  clock_.Advance(absl::Hours(1) - absl::Seconds(1));
  EXPECT_TRUE(Show(made.text).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Refused(made.text), "TOKEN_EXPIRED");
  EXPECT_THAT(std::string(Show(made.text).status().message()), HasSubstr("expired on 2023-11-14 23:13 UTC"));
  EXPECT_EQ(store_->active(), 0);
}

TEST_F(TokenStoreTest, WhatCannotBeIsRefused) {
  const TokenSpec good = {.name = "ci", .projects = {"team-a"}, .scopes = {Scope::kRead}};
  const auto fails = [&](auto change, const std::string& about) {
    TokenSpec spec = good;
    change(spec);
    const absl::Status status = store_->CreateToken(spec).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << about;
    EXPECT_THAT(std::string(status.message()), HasSubstr(about));
  };
  fails([](TokenSpec& s) { s.name = ""; }, "name");
  fails([](TokenSpec& s) { s.name = std::string(64, 'x'); }, "name");
  fails([](TokenSpec& s) { s.name = "a\nb"; }, "name");
  fails([](TokenSpec& s) { s.name = "\xff"; }, "name");
  fails([](TokenSpec& s) { s.projects = {}; }, "projects");
  fails([](TokenSpec& s) { s.projects = {"a,b"}; }, "projects");
  fails([](TokenSpec& s) { s.scopes = {}; }, "scopes");
  fails([this](TokenSpec& s) { s.expire_time = clock_.Now(); }, "expire_time");
  EXPECT_EQ(store_->active(), 0);
}

TEST_F(TokenStoreTest, ListsPageByPageNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), Make().info.id);
  ASSERT_TRUE(store_->Revoke(ids[2]).ok());
  std::vector<std::string> seen;
  std::string next;
  do {
    const absl::StatusOr<TokenPage> page = store_->List(2, next);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const TokenInfo& info : page->tokens) seen.push_back(info.id);
    next = page->next_page_token;
    if (seen.size() == 2) Make();  // what comes meanwhile moves nothing
  } while (!next.empty());
  EXPECT_EQ(seen, ids);
  EXPECT_EQ(store_->List(2, "bm9uc2Vuc2U").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(TokenStoreTest, LastUseIsKnownNowAndLaterToTheHour) {
  const NewToken made = Make();
  EXPECT_EQ(store_->Find(made.info.id)->last_used_time, absl::InfinitePast());
  ASSERT_TRUE(Show(made.text).ok());
  const absl::Time first = clock_.Now();
  EXPECT_EQ(store_->Find(made.info.id)->last_used_time, first);
  ASSERT_TRUE(store_->FlushLastUsed().ok());
  clock_.Advance(absl::Minutes(59));
  ASSERT_TRUE(Show(made.text).ok());
  ASSERT_TRUE(store_->FlushLastUsed().ok());
  Open();
  EXPECT_EQ(store_->Find(made.info.id)->last_used_time, first) << "not worth a write";
  clock_.Advance(absl::Minutes(1));
  ASSERT_TRUE(Show(made.text).ok());
  ASSERT_TRUE(store_->FlushLastUsed().ok());
  Open();
  EXPECT_EQ(store_->Find(made.info.id)->last_used_time, first + absl::Hours(1));
}

TEST_F(TokenStoreTest, ACallReadsNoDatabase) {
  const NewToken made = Make();
  ASSERT_TRUE(database_->Execute("DROP TABLE auth_tokens").ok());
  EXPECT_TRUE(Show(made.text).ok());
}

TEST_F(TokenStoreTest, ManyThreads) {
  const NewToken made = Make();
  const NewToken doomed = Make();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(Show(made.text).ok());
        Show(doomed.text).status().IgnoreError();
      }
    });
  }
  threads.emplace_back([&] {
    EXPECT_TRUE(store_->Revoke(doomed.info.id).ok());
    EXPECT_FALSE(Show(doomed.text).ok());
    for (int i = 0; i < 10; ++i) Make();
  });
  threads.emplace_back([&] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(store_->FlushLastUsed().ok());
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->active(), 11);
}

TEST(TokenText, IsRandomAndItsHashIsOfAllOfIt) {
  std::set<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.insert(NewTokenText().ToText());
  EXPECT_EQ(texts.size(), 100u);
  const TokenText token = NewTokenText();
  TokenText renamed = token;
  renamed.id = NewTokenText().id;
  EXPECT_EQ(token.Hash().size(), 32u);
  EXPECT_EQ(token.Hash(), ParseTokenText(token.ToText())->Hash());
  EXPECT_NE(token.Hash(), renamed.Hash());
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
}

}  // namespace
}  // namespace attune::auth
