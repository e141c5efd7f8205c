// What a good tokenizer does with texts, good and bad.
#include "server/tokenizers/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "server/base/files.h"
#include "tests/fakes/tiny_tokenizer.h"

namespace attune::tokenizers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> Tiny() {
  static const std::shared_ptr<const Tokenizer> tokenizer = *ParseTokenizer(TinyTokenizerJson(), "tokenizer.json");
  return tokenizer;
}

int32_t Id(const std::string& token) {
  const std::vector<std::string> vocabulary = TinyVocabulary();
  const auto found = std::find(vocabulary.begin(), vocabulary.end(), token);
  EXPECT_NE(found, vocabulary.end()) << token;
  return static_cast<int32_t>(found - vocabulary.begin());
}

Ids IdsOf(const std::vector<std::string>& tokens) {
  Ids ids;
  for (const std::string& token : tokens) ids.push_back(Id(token));
  return ids;
}

absl::StatusOr<Encoding> EncodePair(const Tokenizer& tokenizer, std::string_view text, std::string_view pair,
                                    int32_t max_length) {
  return tokenizer.Encode(text, &pair, max_length);
}

TEST(TokenizerTest, CutsWordsIntoPieces) {
  const Encoding e = *Tiny()->Encode("The movie was good, worldly!", nullptr, 0);
  EXPECT_EQ(e.ids, IdsOf({"[CLS]", "the", "movie", "was", "good", ",", "world", "##ly", "!", "[SEP]"}));
  EXPECT_EQ(e.type_ids, Ids(10, 0));
  EXPECT_FALSE(e.truncated);
}

TEST(TokenizerTest, VocabularySizeCoversEveryId) { EXPECT_EQ(Tiny()->vocabulary_size(), TinyVocabularySize()); }

TEST(TokenizerTest, MarksTheSegmentsOfPairs) {
  const Encoding e = *EncodePair(*Tiny(), "hello", "bad world", 0);
  EXPECT_EQ(e.ids, IdsOf({"[CLS]", "hello", "[SEP]", "bad", "world", "[SEP]"}));
  EXPECT_THAT(e.type_ids, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(TokenizerTest, AnEmptyPairIsAPair) {
  const Encoding e = *EncodePair(*Tiny(), "hello", std::string_view(), 0);
  EXPECT_EQ(e.ids, IdsOf({"[CLS]", "hello", "[SEP]", "[SEP]"}));
  EXPECT_THAT(e.type_ids, ElementsAre(0, 0, 0, 1));
}

TEST(TokenizerTest, EmptyTextsHaveTheirSpecialTokens) {
  EXPECT_EQ(Tiny()->Encode("", nullptr, 0)->ids, IdsOf({"[CLS]", "[SEP]"}));
  EXPECT_EQ(Tiny()->Encode(std::string_view(), nullptr, 0)->ids, IdsOf({"[CLS]", "[SEP]"}));
  EXPECT_EQ(EncodePair(*Tiny(), "", "", 0)->ids, IdsOf({"[CLS]", "[SEP]", "[SEP]"}));
}

TEST(TokenizerTest, UnknownCharactersAndControlCharacters) {
  EXPECT_EQ(Tiny()->Encode("good \xe2\x98\x83 world", nullptr, 0)->ids,
            IdsOf({"[CLS]", "good", "[UNK]", "world", "[SEP]"}));
  EXPECT_EQ(Tiny()->Encode(std::string_view("go\0od\x01", 6), nullptr, 0)->ids, IdsOf({"[CLS]", "good", "[SEP]"}));
}

TEST(TokenizerTest, TextCanSpellSpecialTokens) {
  EXPECT_EQ(Tiny()->Encode("bad [SEP] good", nullptr, 0)->ids, IdsOf({"[CLS]", "bad", "[SEP]", "good", "[SEP]"}));
}

TEST(TokenizerTest, CutsSingleTextsAtTheEnd) {
  struct Case {
    int32_t max_length;
    std::vector<std::string> tokens;
    bool truncated;
  };
  for (const Case& c : std::vector<Case>{{2, {"[CLS]", "[SEP]"}, true},
                                         {3, {"[CLS]", "the", "[SEP]"}, true},
                                         {4, {"[CLS]", "the", "world", "[SEP]"}, true},
                                         {5, {"[CLS]", "the", "world", "##ly", "[SEP]"}, false},
                                         {600, {"[CLS]", "the", "world", "##ly", "[SEP]"}, false}}) {
    const Encoding e = *Tiny()->Encode("the worldly", nullptr, c.max_length);
    EXPECT_EQ(e.ids, IdsOf(c.tokens)) << c.max_length;
    EXPECT_EQ(e.truncated, c.truncated) << c.max_length;
  }
}

// Expected lengths as transformers 5 gives them for truncation="longest_first".
TEST(TokenizerTest, CutsTheLongerTextOfAPairFirst) {
  struct Case {
    int first, second;  // words
    int32_t max_length;
    int kept_first, kept_second;
  };
  for (const Case& c : std::vector<Case>{{5, 2, 8, 3, 2},
                                         {2, 5, 8, 2, 3},
                                         {5, 5, 8, 2, 3},
                                         {6, 5, 8, 3, 2},
                                         {5, 6, 9, 3, 3},
                                         {1, 9, 3, 0, 0},
                                         {1, 9, 4, 0, 1}}) {
    std::string text, pair;
    for (int i = 0; i < c.first; ++i) text += "good ";
    for (int i = 0; i < c.second; ++i) pair += "bad ";
    const Encoding e = *EncodePair(*Tiny(), text, pair, c.max_length);
    EXPECT_EQ(std::count(e.ids.begin(), e.ids.end(), Id("good")), c.kept_first) << text << "|" << pair;
    EXPECT_EQ(std::count(e.ids.begin(), e.ids.end(), Id("bad")), c.kept_second) << text << "|" << pair;
    EXPECT_EQ(static_cast<int32_t>(e.ids.size()), std::min(c.max_length, c.first + c.second + 3));
    EXPECT_EQ(e.ids.size(), e.type_ids.size());
    EXPECT_TRUE(e.truncated);
  }
}

TEST(TokenizerTest, LongPairsCutShortAreQuick) {
  const std::string text = [] {
    std::string t;
    for (int i = 0; i < 20000; ++i) t += "good ";
    return t;
  }();
  // Were the parts that are cut off combined with each other (16 million of them), this would not end in this lifetime.
  EXPECT_EQ(EncodePair(*Tiny(), text, text, 13)->ids.size(), 13u);
}

TEST(TokenizerTest, RefusesLengthsWithoutRoom) {
  for (int32_t max_length : {-1, 1}) {
    const auto e = Tiny()->Encode("good", nullptr, max_length);
    EXPECT_EQ(e.status().code(), absl::StatusCode::kInvalidArgument) << max_length;
    EXPECT_THAT(std::string(e.status().message()), HasSubstr("max_length"));
  }
  EXPECT_FALSE(EncodePair(*Tiny(), "good", "bad", 2).ok());
}

TEST(TokenizerTest, RefusesWhatIsNotUtf8) {
  struct Case {
    const char* name;
    std::string_view bytes;
    const char* wrong_byte;
  };
  using namespace std::string_view_literals;  // NOLINT
  for (const Case& c : std::vector<Case>{{"latin-1", "caf\xe9 au lait"sv, "byte 3"},
                                         {"lone continuation", "\x80"sv, "byte 0"},
                                         {"overlong slash", "ab\xc0\xaf"sv, "byte 2"},
                                         {"overlong NUL", "\xe0\x80\x80"sv, "byte 0"},
                                         {"surrogate D800", "a\xed\xa0\x80"sv, "byte 1"},
                                         {"CESU-8 pair", "\xed\xa0\xbd\xed\xb8\x80"sv, "byte 0"},
                                         {"above U+10FFFF", "\xf4\x90\x80\x80"sv, "byte 0"},
                                         {"five bytes", "\xf8\x88\x80\x80\x80"sv, "byte 0"},
                                         {"cut short", "snow \xe2\x98"sv, "byte 5"},
                                         {"0xff", "good\xff"sv, "byte 4"},
                                         {"UTF-16", "\xff\xfeg\0o\0"sv, "byte 0"}}) {
    const auto e = Tiny()->Encode(c.bytes, nullptr, 16);
    EXPECT_EQ(e.status().code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_THAT(std::string(e.status().message()), HasSubstr(c.wrong_byte)) << c.name;
    const auto pair = EncodePair(*Tiny(), "good", c.bytes, 16);
    EXPECT_THAT(std::string(pair.status().message()), HasSubstr("second text")) << c.name;
  }
}

TEST(TokenizerTest, RefusesTextsThatAreTooLong) {
  const std::string text(kMaxTextBytes + 1, 'x');
  const auto e = Tiny()->Encode(text, nullptr, 16);
  EXPECT_EQ(e.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(e.status().message()), HasSubstr("split it"));
}

TEST(TokenizerTest, ThreadsShareOneTokenizer) {
  const std::vector<std::string> texts = {"the movie was good", "a very bad movie", "hello",
                                          "not worldly things, is it?"};
  std::vector<Ids> expected;
  for (int i = 0; i < 400; ++i) expected.push_back(Tiny()->Encode(texts[i % 4], nullptr, 2 + i % 9)->ids);
  std::vector<std::thread> threads;
  std::atomic<int> different = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 400; ++i) {
        const int k = (i + 97 * t) % 400;
        different += Tiny()->Encode(texts[k % 4], nullptr, 2 + k % 9)->ids != expected[k];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

class LoadTokenizerTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), dir_.path() + "/" + name, content).ok());
  }
  absl::StatusOr<Ids> FirstThree() {
    auto tokenizer = LoadTokenizer(dir_.path());
    if (!tokenizer.ok()) return tokenizer.status();
    return (*tokenizer)->Encode("hello bad world", nullptr, 3)->ids;
  }
  TemporaryDirectory dir_;
};

TEST_F(LoadTokenizerTest, MissingFileIsNotFound) {
  const auto tokenizer = LoadTokenizer(dir_.path());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("tokenizer.json"));
}

TEST_F(LoadTokenizerTest, StoredTruncationAndPaddingAreIgnoredExceptTheSide) {
  auto json = TinyTokenizer();
  json["truncation"] = {{"direction", "Left"}, {"max_length", 1}, {"strategy", "OnlySecond"}, {"stride", 7}};
  json["padding"] = {{"strategy", {{"Fixed", 64}}},
                     {"direction", "Right"},
                     {"pad_to_multiple_of", nullptr},
                     {"pad_id", 0},
                     {"pad_type_id", 0},
                     {"pad_token", "[PAD]"}};
  Write("tokenizer.json", json.dump());
  EXPECT_EQ(*FirstThree(), IdsOf({"[CLS]", "world", "[SEP]"}));
}

TEST_F(LoadTokenizerTest, ConfigDecidesTheTruncationSide) {
  auto json = TinyTokenizer();
  json["truncation"] = {{"direction", "Left"}, {"max_length", 9}, {"strategy", "LongestFirst"}, {"stride", 0}};
  Write("tokenizer.json", json.dump());
  Write("tokenizer_config.json", R"({"truncation_side": "right"})");
  EXPECT_EQ(*FirstThree(), IdsOf({"[CLS]", "hello", "[SEP]"}));
  Write("tokenizer_config.json", R"({"truncation_side": null})");
  EXPECT_EQ(*FirstThree(), IdsOf({"[CLS]", "world", "[SEP]"}));
  Write("tokenizer_config.json", R"({"truncation_side": "middle"})");
  EXPECT_THAT(std::string(FirstThree().status().message()), HasSubstr("truncation_side"));
  Write("tokenizer_config.json", R"({"truncation_side": )");
  EXPECT_EQ(FirstThree().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LoadTokenizerTest, TooLargeAFileIsNotRead) {
  Write("tokenizer.json", "{}");
  ASSERT_TRUE(Files::Posix().Truncate(dir_.path() + "/tokenizer.json", kMaxTokenizerJsonBytes + 1).ok());  // sparse
  const auto tokenizer = LoadTokenizer(dir_.path());
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("more than"));
}

}  // namespace
}  // namespace attune::tokenizers
