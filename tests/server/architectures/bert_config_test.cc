#include "server/architectures/bert.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/utf8.h"

namespace attune::architectures {
namespace {

using ::testing::HasSubstr;

TEST(BertConfig, ReadsWhatTransformersWrites) {
  const BertConfig c = *ReadBertConfig(nlohmann::json::parse(R"({
    "model_type": "bert", "vocab_size": 100, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96,
    "max_position_embeddings": 64, "type_vocab_size": 1, "hidden_act": "gelu_new", "layer_norm_eps": 1e-6, "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0.05, "classifier_dropout": null, "initializer_range": 0.01, "pad_token_id": 3, "unknown_key": [1]})"));
  EXPECT_EQ(c.vocab_size, 100);
  EXPECT_EQ(c.hidden_size, 48);
  EXPECT_EQ(c.layers, 3);
  EXPECT_EQ(c.heads, 4);
  EXPECT_EQ(c.intermediate_size, 96);
  EXPECT_EQ(c.max_positions, 64);
  EXPECT_EQ(c.type_vocab_size, 1);
  EXPECT_EQ(c.pad_token_id, 3);
  EXPECT_EQ(c.hidden_act, "gelu_new");
  EXPECT_EQ(c.layer_norm_eps, 1e-6);
  EXPECT_EQ(c.hidden_dropout, 0.2);
  EXPECT_EQ(c.attention_dropout, 0.05);
  EXPECT_EQ(c.head_dropout, 0.2);
  EXPECT_EQ(c.initializer_range, 0.01);
}

TEST(BertConfig, HasTransformersDefaults) {
  const BertConfig c = *ReadBertConfig(nlohmann::json::object());
  EXPECT_EQ(c.vocab_size, 30522);
  EXPECT_EQ(c.hidden_size, 768);
  EXPECT_EQ(c.pad_token_id, 0);
  EXPECT_EQ(c.hidden_act, "gelu");
  EXPECT_EQ(c.layer_norm_eps, 1e-12);
}

TEST(BertConfig, HeadDropoutIsTheClassifiers) {
  EXPECT_EQ(ReadBertConfig({{"classifier_dropout", 0.3}, {"hidden_dropout_prob", 0.1}})->head_dropout, 0.3);
}

TEST(BertConfig, NullPadTokenMeansNone) { EXPECT_EQ(ReadBertConfig({{"pad_token_id", nullptr}})->pad_token_id, -1); }

// A gRPC status with half a character in it reaches no client.
TEST(BertConfig, ShownValuesAreCutBetweenCharacters) {
  std::string value = "x";
  for (int i = 0; i < 100; ++i) value += "\xc3\xa4";
  const absl::Status status = ReadBertConfig({{"hidden_act", value}}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("hidden_act is \"x\xc3\xa4"));
  EXPECT_EQ(FirstInvalidUtf8(std::string(status.message())), std::nullopt) << status;
}

struct Refused {
  const char* json;
  const char* message;
};

class RefusedBertConfig : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedBertConfig, NamesTheKey) {
  const absl::Status status = ReadBertConfig(nlohmann::json::parse(GetParam().json)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << GetParam().json;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RefusedBertConfig,
    ::testing::Values(Refused{R"([])", "JSON object"}, Refused{R"({"hidden_size": 0})", "hidden_size is 0"}, Refused{R"({"hidden_size": -768})", "hidden_size is -768"},
                      Refused{R"({"hidden_size": 99999999999999999999})", "hidden_size"}, Refused{R"({"hidden_size": 18446744073709551615})", "hidden_size"},
                      Refused{R"({"hidden_size": "768"})", "hidden_size is \"768\""}, Refused{R"({"hidden_size": 1.5})", "whole number"},
                      Refused{R"({"hidden_size": 100, "num_attention_heads": 12})", "multiple of num_attention_heads"},
                      Refused{R"({"num_hidden_layers": 1000000})", "num_hidden_layers"}, Refused{R"({"vocab_size": 2000000000})", "vocab_size"},
                      Refused{R"({"hidden_size": 16384, "num_attention_heads": 64, "intermediate_size": 131072, "num_hidden_layers": 256})", "billion parameters"},
                      Refused{R"({"hidden_act": "mish"})", "hidden_act is \"mish\"; supported: gelu"}, Refused{R"({"hidden_act": 3})", "hidden_act"},
                      Refused{R"({"hidden_dropout_prob": 1.0})", "hidden_dropout_prob"}, Refused{R"({"attention_probs_dropout_prob": -0.1})", "attention_probs_dropout_prob"},
                      Refused{R"({"layer_norm_eps": "small"})", "layer_norm_eps"}, Refused{R"({"position_embedding_type": "relative_key"})", "position_embedding_type"},
                      Refused{R"({"is_decoder": true})", "is_decoder"}, Refused{R"({"attune_pooling": "cls"})", "supported: first_token, mean, max"}, Refused{R"({"vocab_size": 10, "pad_token_id": 10})", "pad_token_id"}));

}  // namespace
}  // namespace attune::architectures
