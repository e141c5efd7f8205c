#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "server/auth/auth_errors.h"
#include "server/auth/jwt/jwks_source.h"
#include "server/base/files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/auth/test_keys.h"

namespace attune::auth {
namespace {

using ::testing::HasSubstr;

std::string SetOf(const std::vector<std::string>& keys) {
  std::string text = R"({"keys":[)";
  for (size_t i = 0; i < keys.size(); ++i) StrAppend(&text, i == 0 ? "" : ",", keys[i]);
  return text + "]}";
}

std::string Fault(const std::string& text) {
  const auto set = JwkSet::Parse(text);
  EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 200);
  return std::string(set.status().message());
}

TEST(JwkSetTest, KeysOfOthersAreSkipped) {
  const TestKey rsa = TestKey::Rsa(), ec = TestKey::Ec();
  std::string other_curve = ec.ToJwk("c");
  other_curve.replace(other_curve.find("P-256"), 5, "P-384");
  const auto set = JwkSet::Parse(SetOf({rsa.ToJwk("a", R"("use":"sig","alg":"RS256","x5c":["AA"],)"), ec.ToJwk("b", R"("key_ops":["verify"],)"), other_curve, rsa.ToJwk("d", R"("use":"enc",)"),
                                        rsa.ToJwk("e", R"("alg":"RS512",)"), rsa.ToJwk("f", R"("alg":"RSA-OAEP",)"), ec.ToJwk("g", R"("key_ops":["deriveKey"],)"), ec.ToJwk("h", R"("alg":7,)"),
                                        R"({"kty":"OKP","crv":"Ed25519","kid":"i","x":"AA"})", R"({"kid":"j"})"}));
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ((*set)->size(), 2u);
  EXPECT_EQ((*set)->Find("a")->algorithm(), JwsAlgorithm::kRs256);
  EXPECT_EQ((*set)->Find("b")->algorithm(), JwsAlgorithm::kEs256);
  for (const char* kid : {"", "c", "d", "e", "f", "g", "h", "i", "j"}) EXPECT_EQ((*set)->Find(kid), nullptr) << kid;
}

TEST(JwkSetTest, WhatIsWrongIsTold) {
  const TestKey ec = TestKey::Ec();
  const std::string good = ec.ToJwk("a");
  const std::string x = EncodeBase64Url(ec.Parameter(OSSL_PKEY_PARAM_EC_PUB_X, 32));
  EXPECT_THAT(Fault("<html>"), HasSubstr("is not a JSON object"));
  EXPECT_THAT(Fault("{}"), HasSubstr("no list \"keys\""));
  EXPECT_THAT(Fault(R"({"keys":{}})"), HasSubstr("no list \"keys\""));
  EXPECT_THAT(Fault(R"({"keys":[],"keys":[]})"), HasSubstr("has a name twice"));
  EXPECT_THAT(Fault(SetOf({})), HasSubstr("no RSA key"));
  EXPECT_THAT(Fault(SetOf({"7"})), HasSubstr("keys[0] is not an object"));
  EXPECT_THAT(Fault(SetOf({good, good})), HasSubstr("keys[1] has the same kid"));
  EXPECT_THAT(Fault(SetOf({ec.ToJwk("a", R"("d":"AA",)")})), HasSubstr("holds a secret (\"d\")"));
  EXPECT_THAT(Fault(SetOf({good, R"({"kty":"oct","k":"AA"})"})), HasSubstr("keys[1] holds a secret (\"k\")"));
  EXPECT_THAT(Fault(SetOf({R"({"kty":"EC","crv":"P-256","kid":7,"x":"AA","y":"AA"})"})), HasSubstr("kid that is no text"));
  EXPECT_THAT(Fault(SetOf({ec.ToJwk(std::string(300, 'k'))})), HasSubstr("kid of over"));
  EXPECT_THAT(Fault(SetOf({R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})"})), HasSubstr("32 bytes"));
  EXPECT_THAT(Fault(SetOf({StrCat(R"({"kty":"EC","crv":"P-256","x":")", x, R"(","y":")", x, "\"}")})), HasSubstr("no point of P-256"));
  EXPECT_THAT(Fault(SetOf({R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"})), HasSubstr("has 17 bits"));
  EXPECT_THAT(Fault(SetOf({TestKey::Rsa(1024).ToJwk("a")})), HasSubstr("has 1024 bits"));
  EXPECT_THAT(Fault(SetOf({R"({"kty":"RSA","n":"AQ==","e":"AQAB"})"})), HasSubstr("no proper n and e"));
  EXPECT_THAT(Fault(SetOf({StrCat(R"({"kty":"RSA","e":"AQAB","n":")", EncodeBase64Url(std::string(2000, '\xff')), "\"}")})), HasSubstr("has 16000 bits"));
  std::string even = TestKey::Rsa().ToJwk("a");
  even.replace(even.find("AQAB"), 4, "AQAC");
  EXPECT_THAT(Fault(SetOf({even})), HasSubstr("exponent"));
  std::string huge = TestKey::Rsa().ToJwk("a");
  huge.replace(huge.find("AQAB"), 4, EncodeBase64Url(std::string(200, '\xff')));
  EXPECT_THAT(Fault(SetOf({huge})), HasSubstr("exponent"));
  EXPECT_THAT(Fault(std::string(kMaxJwkSetBytes + 1, ' ')), HasSubstr("over 262144 bytes"));
}

class JwksSourceTest : public ::testing::Test {
 protected:
  std::string Reason(std::string_view kid) { return ReasonOf(source_.Find(kid).status()); }

  ManualClock clock_;
  const TestKey key_ = TestKey::Ec();
  absl::StatusOr<std::string> text_ = SetOf({key_.ToJwk("k1")});
  std::atomic<int> reads_{0};
  JwksSource source_{{.own_thread = false},
                     [this] {
                       ++reads_;
                       return text_;
                     },
                     clock_};
};

TEST_F(JwksSourceTest, BeforeTheFirstFetchNobodyWaits) {
  const absl::Status status = source_.Find("k1").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(status.GetPayload("attune.dev/retry_delay_ms").has_value());
  EXPECT_EQ(reads_, 0) << "Find never fetches";
  EXPECT_EQ(source_.age(), absl::InfiniteDuration());
  EXPECT_TRUE(source_.RefreshIfDue());
  EXPECT_TRUE(source_.Find("k1").ok());
  EXPECT_FALSE(source_.RefreshIfDue());
  EXPECT_EQ(source_.age(), absl::ZeroDuration());
}

TEST_F(JwksSourceTest, AnUnknownKeyIsLookedForButNotAtAStrangersPleasure) {
  ASSERT_TRUE(source_.Refresh().ok());
  EXPECT_EQ(Reason("k2"), "JWT_KEY_UNKNOWN") << "the set is fresh";
  EXPECT_FALSE(source_.RefreshIfDue());
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(Reason("k2"), "JWT_KEYS_PENDING");
  text_ = SetOf({key_.ToJwk("k2")});
  EXPECT_TRUE(source_.RefreshIfDue());
  EXPECT_TRUE(source_.Find("k2").ok());
  EXPECT_EQ(Reason("k1"), "JWT_KEY_UNKNOWN") << "withdrawn";
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(absl::Seconds(1));
    source_.Find(StrCat("stranger", i)).status().IgnoreError();
    source_.RefreshIfDue();
  }
  EXPECT_LE(reads_, 2 + 4) << "each half minute at most";
}

TEST_F(JwksSourceTest, RefreshesByItselfAndKeepsTheOldSetOnFailure) {
  ASSERT_TRUE(source_.Refresh().ok());
  clock_.Advance(absl::Minutes(10));
  text_ = absl::UnavailableError("no route");
  EXPECT_TRUE(source_.RefreshIfDue());
  EXPECT_TRUE(source_.Find("k1").ok());
  EXPECT_EQ(source_.failures(), 1);
  EXPECT_EQ(source_.age(), absl::Minutes(10));
  EXPECT_EQ(Reason("k2"), "JWT_KEYS_PENDING") << "who knows whether it has come";
  EXPECT_FALSE(source_.RefreshIfDue());
  clock_.Advance(absl::Seconds(30));
  text_ = std::string("<html>sign in</html>");
  EXPECT_TRUE(source_.RefreshIfDue()) << "after a failure sooner";
  EXPECT_TRUE(source_.Find("k1").ok());
  EXPECT_EQ(source_.failures(), 2);
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Reason("k1"), "JWT_KEYS_PENDING") << "a set of yesterday is believed no more";
  text_ = SetOf({key_.ToJwk("k1")});
  EXPECT_TRUE(source_.RefreshIfDue());
  EXPECT_TRUE(source_.Find("k1").ok());
}

TEST(JwksSourceThread, FetchesWithoutBeingAsked) {
  ManualClock clock;
  const TestKey key = TestKey::Ec();
  absl::Notification fetched;
  JwksSource source({}, [&]() -> absl::StatusOr<std::string> {
    if (!fetched.HasBeenNotified()) fetched.Notify();
    return SetOf({key.ToJwk("k1")});
  }, clock);
  fetched.WaitForNotification();
  absl::StatusOr<Jwk> found = source.Find("k1");
  while (!found.ok()) found = source.Find("k1");
  EXPECT_EQ(found->kid(), "k1");
}

TEST(JwksFile, IsBounded) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/jwks.json";
  EXPECT_EQ(ReadJwksFile(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, "{}").ok());
  EXPECT_EQ(*ReadJwksFile(path), "{}");
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, std::string(kMaxJwkSetBytes + 1, ' ')).ok());
  EXPECT_FALSE(ReadJwksFile(path).ok());
}

}  // namespace
}  // namespace attune::auth
