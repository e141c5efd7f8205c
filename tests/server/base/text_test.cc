// Pure functions over text: ids, glob, nearest, str_cat, utf8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "server/base/glob.h"
#include "server/base/ids.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(IdsTest, NewIdsAreValidAndDistinct) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = NewId('j');
    EXPECT_TRUE(CheckResourceId(id, "id").ok()) << id;
    EXPECT_EQ(id.size(), 17u);
    EXPECT_EQ(id[0], 'j');
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(IdsTest, NewIdsUseTheWholeAlphabet) {
  std::set<char> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = NewId('j');
    seen.insert(id.begin() + 1, id.end());
  }
  EXPECT_EQ(seen.size(), 32u);
}

TEST(IdsTest, SecretsAre256BitsInHex) {
  EXPECT_THAT(NewSecret(), MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(NewSecret().size(), 64u);
  EXPECT_NE(NewSecret(), NewSecret());
}

TEST(IdsTest, CheckResourceId) {
  EXPECT_TRUE(CheckResourceId("a", "dataset_id").ok());
  EXPECT_TRUE(CheckResourceId("my-model-2", "dataset_id").ok());
  EXPECT_TRUE(CheckResourceId(std::string(63, 'a'), "dataset_id").ok());
  for (const std::string& bad :
       {std::string(), std::string("2a"), std::string("-a"), std::string("A"), std::string("a_b"), std::string("a/b"),
        std::string("a b"), std::string(64, 'a'), std::string("a\0b", 3)}) {
    absl::Status status = CheckResourceId(bad, "dataset_id");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("dataset_id"));
  }
}

TEST(IdsTest, ParseResourceName) {
  EXPECT_EQ(*ParseResourceName("datasets/abc", "datasets"), "abc");
  for (const char* bad : {"", "datasets", "datasets/", "models/abc", "datasets/abc/", "datasets/a/b", "datasets/A",
                          "/datasets/abc", "datasetsxabc"}) {
    EXPECT_EQ(ParseResourceName(bad, "datasets").status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(GlobTest, Matches) {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"*", "", true},
           {"*", "a.b.c", true},
           {"a", "a", true},
           {"a", "ab", false},
           {"", "", true},
           {"?", "", false},
           {"a?c", "abc", true},
           {"bert.encoder.layer.*.weight", "bert.encoder.layer.11.output.dense.weight", true},
           {"bert.encoder.layer.*.weight", "bert.encoder.layer.11.output.dense.bias", false},
           {"layer.[0-3].*", "layer.3.w", true},
           {"layer.[0-3].*", "layer.4.w", false},
           {"layer.[0-3].*", "layer.11.w", false},
           {"[abc]x", "bx", true},
           {"[a-]x", "-x", true},
           {"[-a]x", "-x", true},
           {"[a-c0-9_]", "_", true},
           {"[a-c0-9_]", "d", false},
           {"*a*b*c", "xxaxxbxxc", true},
           {"*a*b*c", "xxaxxcxxb", false},
           {"**", "x", true},
           {"a*", "a", true},
           {"*[0-9]", "layer7", true},
           {"*[0-9]", "layer", false},
           {"[a", "a", false},
           {"a]", "a]", true},
       }) {
    EXPECT_EQ(GlobMatches(c.pattern, c.name), c.matches) << c.pattern << " on " << c.name;
  }
}

TEST(GlobTest, HostilePatternsAreCheap) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_FALSE(GlobMatches(pattern + "b", std::string(5000, 'a')));
}

TEST(GlobTest, Check) {
  for (const char* good : {"a", "*", "[abc]", "x[0-9]y[a-z]", "]", "[a-]"}) EXPECT_TRUE(CheckGlob(good).ok()) << good;
  for (const char* bad : {"", "[", "a[b", "[]", "[]a]", "[!a]", "[^a]", "[3-0]", "ok[a-c][9-0]"}) {
    EXPECT_EQ(CheckGlob(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(GlobTest, MessagesHoldWholeCharacters) {
  const absl::Status status = CheckGlob("[0-\xef\xbf\xbd]");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FirstInvalidUtf8(std::string(status.message())), std::nullopt) << status;
}

TEST(NearestTest, Table) {
  const std::vector<std::string> names = {"learning_rate", "batch_size", "n_epochs", "max_steps", "seed"};
  struct Case {
    const char* wrong;
    const char* nearest;
  };
  for (const Case& c : std::initializer_list<Case>{{"learning_rat", "learning_rate"},
                                                   {"lerning_rate", "learning_rate"},
                                                   {"LEARNING_RATE", "learning_rate"},
                                                   {"learnign_rate", "learning_rate"},
                                                   {"epochs", "n_epochs"},
                                                   {"max_step", "max_steps"},
                                                   {"sede", "seed"},
                                                   {"dropout", ""},
                                                   {"zz", ""},
                                                   {"", ""}}) {
    EXPECT_EQ(Nearest(c.wrong, names), c.nearest) << c.wrong;
  }
  EXPECT_EQ(Nearest("x", {}), "");
  EXPECT_EQ(Nearest(std::string(100000, 'x'), names), "");
}

TEST(StrCatTest, TakesBothKindsOfView) {
  std::string_view standard = "std";
  absl::string_view abseil = "absl";
  std::string text = StrCat(standard, " ", abseil, " ", std::string("string"), " ", 7, " ", 1.5);
  StrAppend(&text, " ", standard);
  EXPECT_EQ(text, "std absl string 7 1.5 std");
  EXPECT_EQ(AbslView(""), "");
}

TEST(Utf8Test, Valid) {
  for (const char* good : {"", "ascii only, and long enough for blocks", "\xc2\x80", "gr\xc3\xb6\xc3\x9f",
                           "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "12345678\xe2\x82\xac"
                           "12345678"}) {
    EXPECT_EQ(FirstInvalidUtf8(good), std::nullopt) << good;
  }
}

TEST(Utf8Test, PrefixesHoldWholeCharacters) {
  EXPECT_EQ(Utf8Prefix("short", 5), "short");
  EXPECT_EQ(Utf8Prefix("longer", 4), "long");
  const std::string text = "a\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80";  // characters of one to four bytes
  for (size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const std::string_view prefix = Utf8Prefix(text, bytes);
    EXPECT_LE(prefix.size(), bytes);
    EXPECT_GT(prefix.size() + 4, bytes);
    EXPECT_EQ(FirstInvalidUtf8(prefix), std::nullopt) << bytes;
  }
  EXPECT_EQ(Utf8Prefix("\xa4\xa4\xa4", 2), "") << "no character begins there";
}

TEST(Utf8Test, InvalidNamesThePosition) {
  struct Case {
    const char* text;
    size_t position;
  };
  for (const Case& c : std::initializer_list<Case>{{"\x80", 0},              // continuation without a start
                                                   {"a\xc0\x80", 1},         // overlong
                                                   {"a\xc1\xbf", 1},         // overlong
                                                   {"\xe0\x9f\xbf", 0},      // overlong
                                                   {"\xf0\x8f\xbf\xbf", 0},  // overlong
                                                   {"ab\xed\xa0\x80", 2},    // surrogate
                                                   {"\xf4\x90\x80\x80", 0},  // over U+10FFFF
                                                   {"\xf5\x80\x80\x80", 0},
                                                   {"\xff", 0},
                                                   {"abc\xc3", 3},  // cut off
                                                   {"abc\xe2\x82", 3},
                                                   {"abc\xe2\x82z", 3},
                                                   {"0123456789\xe2\x82\xac\xfe", 13}}) {
    EXPECT_EQ(FirstInvalidUtf8(c.text), c.position) << c.text;
  }
}

}  // namespace
}  // namespace attune
