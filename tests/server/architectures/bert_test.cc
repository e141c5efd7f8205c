// Which config.json describes a BERT, and what it describes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"
#include "tests/fakes/tiny_bert.h"

namespace attune::architectures {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const Architecture& Bert() { return *ArchitectureRegistry::Get().Find("bert"); }

TEST(BertArchitectureTest, DescribesNamesShapesAndGroups) {
  const TinyBertOptions options{.layers = 3};
  const ModelLayout layout = *Bert().describe(TinyBertConfig(options));
  std::vector<std::pair<std::string, std::vector<int64_t>>> expected, described;
  for (const TinyTensor& tensor : TinyBertTensors(options)) expected.emplace_back(tensor.name, tensor.shape);
  for (const ParameterShape& parameter : layout.parameters) described.emplace_back(parameter.name, parameter.shape);
  EXPECT_EQ(described, expected);
  EXPECT_THAT(layout.groups, ElementsAre("embeddings", "layer.0", "layer.1", "layer.2", "pooler"));
  EXPECT_EQ(layout.max_length, 64);
  EXPECT_EQ(layout.vocabulary_size, TinyVocabularySize());
  EXPECT_EQ(layout.type_count, 2);
  std::map<std::string, int> in_group;
  for (const ParameterShape& parameter : layout.parameters) {
    ++in_group[parameter.group];
    EXPECT_EQ(parameter.optional, parameter.group == "pooler") << parameter.name;
    if (parameter.name.find("layer.2.") != std::string::npos) {
      EXPECT_EQ(parameter.group, "layer.2");
    }
  }
  EXPECT_EQ(in_group, (std::map<std::string, int>{
                          {"embeddings", 5}, {"layer.0", 16}, {"layer.1", 16}, {"layer.2", 16}, {"pooler", 2}}));
}

TEST(BertArchitectureTest, AbsentKeysAreTransformersDefaults) {
  const ModelLayout base = *Bert().describe(Json{{"model_type", "bert"}, {"num_hidden_layers", nullptr}});
  int64_t count = 0;
  for (const ParameterShape& parameter : base.parameters) count += parameter.value_count();
  EXPECT_EQ(count, 109482240);  // bert-base-uncased
}

TEST(BertArchitectureTest, NamesOfAllAgesMeanTheSame) {
  for (const char* name : {"embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.weight",
                           "bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.gamma"}) {
    EXPECT_EQ(CanonicalName(Bert(), name), "embeddings.LayerNorm.weight") << name;
  }
  EXPECT_EQ(CanonicalName(Bert(), "bert.encoder.layer.1.output.LayerNorm.beta"),
            "encoder.layer.1.output.LayerNorm.bias");
  EXPECT_EQ(CanonicalName(Bert(), "cls.predictions.bias"), "cls.predictions.bias");
  EXPECT_EQ(CanonicalName(Bert(), "other.gamma"), "other.gamma");
  EXPECT_EQ(CanonicalName(Bert(), "bert"), "bert");
  EXPECT_EQ(CanonicalName(Bert(), ""), "");
  EXPECT_TRUE(Bert().is_buffer("embeddings.position_ids"));
  EXPECT_FALSE(Bert().is_buffer("embeddings.position_embeddings.weight"));
}

struct ConfigCase {
  const char* key;
  Json value;
  const char* message;
};

TEST(BertArchitectureTest, RefusesConfigs) {
  const int64_t huge = int64_t{1} << 62;
  const std::vector<ConfigCase> cases = {
      {"hidden_size", huge, "from 1 to 16384"},
      {"hidden_size", int64_t{1} << 40, "hidden_size is 1099511627776"},
      {"hidden_size", 0, "hidden_size is 0"},
      {"hidden_size", -32, "hidden_size is -32"},
      {"hidden_size", 32.5, "whole number"},
      {"hidden_size", "32", "whole number"},
      {"hidden_size", true, "whole number"},
      {"hidden_size", Json::array({32}), "is an array"},
      {"hidden_size", 33, "must be a multiple of num_attention_heads (4)"},
      {"hidden_size", 18446744073709551615u, "hidden_size is 18446744073709551615"},
      {"num_attention_heads", 5, "multiple"},
      {"num_attention_heads", 0, "num_attention_heads is 0"},
      {"num_hidden_layers", 1000000000, "from 1 to 256"},
      {"num_hidden_layers", 0, "num_hidden_layers is 0"},
      {"intermediate_size", huge, "intermediate_size"},
      {"vocab_size", -5, "vocab_size is -5"},
      {"vocab_size", 4000001, "from 1 to 4000000"},
      {"vocab_size", 9223372036854775808u, "vocab_size"},
      {"max_position_embeddings", huge, "max_position_embeddings"},
      {"type_vocab_size", 0, "type_vocab_size"},
      {"pad_token_id", 1000000, "pad_token_id"},
      {"hidden_act", "swishy", "did you mean swish?"},
      {"hidden_act", "tanh", "supported: gelu, gelu_new"},
      {"hidden_act", 7, "hidden_act is 7"},
      {"position_embedding_type", "relative_key", "supported: absolute"},
      {"is_decoder", true, "only encoders"},
      {"is_decoder", 0, "only encoders"},
      {"add_cross_attention", true, "only encoders"},
      {"layer_norm_eps", -1e-5, "from 0 to 1"},
      {"layer_norm_eps", "1e-12", "must be a number"},
      {"hidden_dropout_prob", 1.0, "from 0 to 0.999"},
      {"attention_probs_dropout_prob", 2, "attention_probs_dropout_prob"},
      {"classifier_dropout", -0.1, "classifier_dropout"},
      {"initializer_range", 1e30, "initializer_range"},
  };
  for (const ConfigCase& c : cases) {
    Json config = TinyBertConfig();
    config[c.key] = c.value;
    const auto layout = Bert().describe(config);
    EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument) << c.key << " " << c.value;
    EXPECT_THAT(std::string(layout.status().message()), HasSubstr(c.message)) << c.key;
    EXPECT_THAT(std::string(layout.status().message()), HasSubstr("config.json")) << c.key;
    EXPECT_THAT(std::string(layout.status().message()), HasSubstr(c.key)) << c.key;
  }
}

TEST(BertArchitectureTest, RefusesSizesThatAreAbsurdTogether) {
  Json config = TinyBertConfig();
  for (const auto& [key, value] : std::map<std::string, int64_t>{{"hidden_size", 16384},
                                                                 {"intermediate_size", 131072},
                                                                 {"num_hidden_layers", 256},
                                                                 {"vocab_size", 4000000},
                                                                 {"num_attention_heads", 256}}) {
    config[key] = value;  // each alone is allowed
  }
  EXPECT_THAT(std::string(Bert().describe(config).status().message()), HasSubstr("billion parameters"));
}

TEST(BertArchitectureTest, AcceptsWhatTheEngineCan) {
  for (const char* activation : {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}) {
    Json config = TinyBertConfig();
    config["hidden_act"] = activation;
    EXPECT_TRUE(Bert().describe(config).ok()) << activation;
  }
  Json config = TinyBertConfig();
  config.update({{"classifier_dropout", nullptr},
                 {"is_decoder", false},
                 {"pad_token_id", -1},
                 {"use_cache", true},
                 {"unknown_key", {1, 2}}});
  EXPECT_TRUE(Bert().describe(config).ok());
}

}  // namespace
}  // namespace attune::architectures
