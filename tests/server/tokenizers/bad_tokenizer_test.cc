// Hostile and broken tokenizer.json: every one is an INVALID_ARGUMENT with a reason, none ends the process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "server/tokenizers/tokenizer.h"
#include "tests/fakes/tiny_tokenizer.h"

namespace attune::tokenizers {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

void ExpectRefused(const std::string& json, const std::string& what) {
  const auto tokenizer = ParseTokenizer(json, "tokenizer.json");
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument) << what;
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("tokenizer.json")) << what;
}

TEST(BadTokenizerTest, RefusesWhatIsNotATokenizer) {
  for (const char* json :
       {"", " ", "{", "null", "true", "7", "\"text\"", "[]", "{}", "{\"version\": \"1.0\"}", "{\"model\": null}",
        "{\"model\": {}}", "not json", "\xff\xfe", "{\"version\": \"9.9\", \"model\": {}}"}) {
    ExpectRefused(json, json);
  }
  ExpectRefused(std::string(1000, '\0'), "NULs");
}

TEST(BadTokenizerTest, RefusesDeepJson) {
  const int depth = 1000000;
  ExpectRefused(std::string(depth, '['), "open arrays");
  ExpectRefused(std::string(depth, '[') + std::string(depth, ']'), "arrays");
  std::string objects, normalizers = "{\"normalizer\":", ends;
  for (int i = 0; i < 100000; ++i) {
    objects += "{\"a\":";
    normalizers += "{\"type\":\"Sequence\",\"normalizers\":[";
    ends += "]}";
  }
  ExpectRefused(objects, "objects");
  ExpectRefused(normalizers + ends + "}", "nested normalizers");
}

TEST(BadTokenizerTest, RefusesWrongParts) {
  struct Case {
    const char* name;
    std::function<void(Json&)> spoil;
  };
  const std::vector<Case> cases = {
      {"no model", [](Json& t) { t.erase("model"); }},
      {"unknown model", [](Json& t) { t["model"]["type"] = "Oracle"; }},
      {"vocab is a list", [](Json& t) { t["model"]["vocab"] = Json::array({"a", "b"}); }},
      {"id is text", [](Json& t) { t["model"]["vocab"]["good"] = "seven"; }},
      {"id is negative", [](Json& t) { t["model"]["vocab"]["good"] = -1; }},
      {"id is a fraction", [](Json& t) { t["model"]["vocab"]["good"] = 1.5; }},
      {"id over 32 bits", [](Json& t) { t["model"]["vocab"]["good"] = 1LL << 40; }},
      {"id over 31 bits", [](Json& t) { t["model"]["vocab"]["good"] = 4294967295u; }},
      {"special id over 31 bits",
       [](Json& t) { t["post_processor"]["special_tokens"]["[SEP]"]["ids"] = {4000000000u}; }},
      {"no unknown token",
       [](Json& t) {
         t["added_tokens"].erase(1);
         t["model"]["vocab"].erase("[UNK]");
       }},
      {"unknown normalizer", [](Json& t) { t["normalizer"] = {{"type", "Wish"}}; }},
      {"unknown pre-tokenizer", [](Json& t) { t["pre_tokenizer"] = {{"type", "Axe"}}; }},
      {"bad regular expression",
       [](Json& t) {
         t["pre_tokenizer"] = {
             {"type", "Split"}, {"pattern", {{"Regex", "(["}}}, {"behavior", "Isolated"}, {"invert", false}};
       }},
      {"template names an unknown token",
       [](Json& t) { t["post_processor"]["single"][0]["SpecialToken"]["id"] = "[NEW]"; }},
      {"second text in a single template", [](Json& t) { t["post_processor"]["single"][1]["Sequence"]["id"] = "B"; }},
      {"template is text", [](Json& t) { t["post_processor"]["single"] = 7; }},
      {"added tokens are not a list", [](Json& t) { t["added_tokens"] = "none"; }},
      {"truncation is text", [](Json& t) { t["truncation"] = "some"; }},
  };
  for (const Case& c : cases) {
    Json tokenizer = TinyTokenizer();
    c.spoil(tokenizer);
    ExpectRefused(tokenizer.dump(), c.name);
  }
}

TEST(BadTokenizerTest, IdsOfTheTemplateCountIntoTheVocabulary) {
  Json json = TinyTokenizer();
  json["post_processor"]["special_tokens"]["[SEP]"]["ids"] = {5000};
  EXPECT_EQ((*ParseTokenizer(json.dump(), "tokenizer.json"))->vocabulary_size(), 5001);
  json = TinyTokenizer();
  json["model"]["vocab"]["hello"] = 70000;  // a gap: the count of tokens would not cover it
  EXPECT_EQ((*ParseTokenizer(json.dump(), "tokenizer.json"))->vocabulary_size(), 70001);
}

TEST(BadTokenizerTest, RefusesSegmentsOver31Bits) {
  for (const int position : {0, 1}) {  // [CLS] and the text
    Json json = TinyTokenizer();
    json["post_processor"]["single"][position][position == 0 ? "SpecialToken" : "Sequence"]["type_id"] = 4294967295u;
    const auto tokenizer = ParseTokenizer(json.dump(), "tokenizer.json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const auto encoding = (*tokenizer)->Encode("good", nullptr, 0);
    EXPECT_EQ(encoding.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(encoding.status().message()), HasSubstr("31 bits"));
  }
}

// The library knows nothing of it when it cuts, and positions after max_length are no rows of the model's embedding.
TEST(BadTokenizerTest, RefusesTemplatesThatRepeatTheText) {
  Json json = TinyTokenizer();
  json["post_processor"]["single"].push_back(json["post_processor"]["single"][1]);
  const auto tokenizer = ParseTokenizer(json.dump(), "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const auto encoding = (*tokenizer)->Encode("a good movie is not a bad movie", nullptr, 6);
  EXPECT_EQ(encoding.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(encoding.status().message()), HasSubstr("once"));
}

TEST(BadTokenizerTest, RefusesEveryTruncatedFile) {
  const std::string json = TinyTokenizerJson();
  for (size_t size = 0; size < json.size(); size += 13) ExpectRefused(json.substr(0, size), std::to_string(size));
}

TEST(BadTokenizerTest, SurvivesDamagedBytes) {
  const std::string json = TinyTokenizerJson();
  std::mt19937 random(7);  // NOLINT: the same damage in every run
  for (int round = 0; round < 1500; ++round) {
    std::string damaged = json;
    for (unsigned i = 0; i <= random() % 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto tokenizer = ParseTokenizer(damaged, "tokenizer.json");
    if (tokenizer.ok()) {
      (*tokenizer)->Encode("good worldly \xe2\x98\x83 [SEP]", nullptr, 4).IgnoreError();
    } else {
      EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(BadTokenizerTest, RefusesTooLargeAFile) {
  ExpectRefused(std::string(static_cast<size_t>(kMaxTokenizerJsonBytes) + 1, ' '), "too large");
}

}  // namespace
}  // namespace attune::tokenizers
