// The server refuses or accepts models without torch; the engine trains them. Both must know the same architectures,
// accept the same configs and give parameters the same names, shapes and groups: otherwise a freeze rule that the
// server accepts means something else in the worker. Models made of the server's own layout (all image models) agree by
// construction; those with a parser and tensors of their own are compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "server/base/files.h"
#include "server/architectures/architecture.h"
#include "server/training/models/model.h"
#include "tests/fakes/tiny_bert.h"

namespace attune {
namespace {

using architectures::Architecture;
using architectures::ArchitectureRegistry;
using architectures::ModelLayout;
using architectures::ParameterShape;
using training::Model;
using training::ModelFactory;
using training::ModelRegistry;
using Json = nlohmann::json;

// With a parser and tensors of their own.
std::vector<const ModelFactory*> OwnParsers() { return {ModelRegistry::Get().Find("bert")}; }

Json ConfigOf(const std::string& architecture) {
  Json config = TinyBertConfig();
  config["model_type"] = architecture;
  return config;
}

// "" when the engine makes a model of it.
std::string EngineError(const ModelFactory& factory, const Json& config) {
  try {
    factory.create(config, 1);
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(ArchitecturesAgreeTest, BothSidesKnowTheSameOnes) {
  std::vector<std::string> trained;
  for (const ModelFactory* factory : ModelRegistry::Get().All()) trained.push_back(factory->architecture);
  EXPECT_EQ(ArchitectureRegistry::Get().Names(), trained);
}

TEST(ArchitecturesAgreeTest, TasksAreThoseOfTheModality) {
  for (const ModelFactory* factory : ModelRegistry::Get().All()) {
    const std::string modality = architectures::ModalityName(factory->description_of().modality);
    for (const std::string& task : factory->tasks) EXPECT_THAT(task, ::testing::StartsWith(modality)) << factory->architecture;
    EXPECT_THAT(factory->tasks, ::testing::SizeIs(3)) << factory->architecture;
  }
}

TEST(ArchitecturesAgreeTest, BothSidesRefuseWithTheSameWords) {
  for (const auto& [name, config] : std::vector<std::pair<std::string, Json>>{{"resnet18", {{"layers", {1, 1, 0, 1}}}},
                                                                              {"vgg11", {{"features", {64}}}},
                                                                              {"inception_v3", {{"image_size", 128}}},
                                                                              {"mobilenet_v2", {{"width_mult", 0}}},
                                                                              {"efficientnet_b0", {{"dropout", 1}}}}) {
    const auto described = ArchitectureRegistry::Get().Find(name)->describe(config);
    ASSERT_FALSE(described.ok()) << name;
    EXPECT_EQ(EngineError(*ModelRegistry::Get().Find(name), config), described.status().message());
  }
}

TEST(ArchitecturesAgreeTest, ParametersHaveTheSameNamesShapesAndGroups) {
  for (const ModelFactory* factory : OwnParsers()) {
    SCOPED_TRACE(factory->architecture);
    const Architecture* architecture = ArchitectureRegistry::Get().Find(factory->architecture);
    ASSERT_NE(architecture, nullptr);
    const Json config = ConfigOf(factory->architecture);
    const auto described = architecture->describe(config);
    ASSERT_TRUE(described.ok()) << described.status();
    const ModelLayout& layout = *described;
    const auto model = factory->create(config, 1);
    EXPECT_EQ(layout.groups, model->groups());
    ASSERT_EQ(layout.parameters.size(), model->parameters().size());
    for (size_t i = 0; i < layout.parameters.size(); ++i) {
      const ParameterShape& expected = layout.parameters[i];
      const training::Parameter& actual = model->parameters()[i];
      EXPECT_EQ(architecture->prefix + expected.name, actual.name);
      EXPECT_EQ(expected.shape, actual.tensor.sizes().vec()) << actual.name;
      EXPECT_EQ(expected.group, model->groups()[static_cast<size_t>(actual.group)]) << actual.name;
    }
  }
}

TEST(ArchitecturesAgreeTest, BothSidesAcceptTheSameConfigs) {
  const std::vector<std::pair<const char*, Json>> changes = {
      {"hidden_size", 64},
      {"hidden_size", 33},
      {"hidden_size", 0},
      {"hidden_size", 16385},
      {"hidden_size", "32"},
      {"hidden_size", 32.0},
      {"hidden_size", true},
      {"num_hidden_layers", 1},
      {"num_hidden_layers", 0},
      {"num_hidden_layers", 257},
      {"num_attention_heads", 8},
      {"num_attention_heads", 5},
      {"vocab_size", -5},
      {"vocab_size", 4000001},
      {"vocab_size", 9223372036854775808u},
      {"intermediate_size", 0},
      {"intermediate_size", 131073},
      {"max_position_embeddings", 1},
      {"max_position_embeddings", 1048577},
      {"type_vocab_size", 1},
      {"type_vocab_size", 257},
      {"pad_token_id", nullptr},
      {"pad_token_id", -1},
      {"pad_token_id", -2},
      {"pad_token_id", 1000000},
      {"hidden_act", "gelu"},
      {"hidden_act", "gelu_new"},
      {"hidden_act", "gelu_pytorch_tanh"},
      {"hidden_act", "relu"},
      {"hidden_act", "silu"},
      {"hidden_act", "swish"},
      {"hidden_act", "gelu_fast"},
      {"hidden_act", "tanh"},
      {"hidden_act", "mish"},
      {"hidden_act", "GELU"},
      {"hidden_act", nullptr},
      {"hidden_act", 1},
      {"position_embedding_type", "relative_key"},
      {"position_embedding_type", nullptr},
      {"is_decoder", true},
      {"is_decoder", false},
      {"is_decoder", 0},
      {"is_decoder", nullptr},
      {"add_cross_attention", true},
      {"layer_norm_eps", 0},
      {"layer_norm_eps", 1.5},
      {"layer_norm_eps", "1e-5"},
      {"hidden_dropout_prob", 0.999},
      {"hidden_dropout_prob", 1},
      {"attention_probs_dropout_prob", -0.1},
      {"classifier_dropout", nullptr},
      {"classifier_dropout", 2},
      {"initializer_range", 11},
  };
  for (const ModelFactory* factory : OwnParsers()) {
    const Architecture* architecture = ArchitectureRegistry::Get().Find(factory->architecture);
    for (const auto& [key, value] : changes) {
      Json config = ConfigOf(factory->architecture);
      config[key] = value;
      const auto described = architecture->describe(config);
      const std::string error = EngineError(*factory, config);
      EXPECT_EQ(described.ok(), error.empty())
          << key << " = " << value << "\n  server: " << described.status() << "\n  engine: " << error;
    }
    Json absurd = ConfigOf(factory->architecture);
    absurd.update({{"hidden_size", 16384},
                   {"intermediate_size", 131072},
                   {"num_hidden_layers", 256},
                   {"num_attention_heads", 256}});
    EXPECT_FALSE(architecture->describe(absurd).ok());
    EXPECT_NE(EngineError(*factory, absurd), "");
  }
}

TEST(ArchitecturesAgreeTest, CheckpointsOfAllAgesLoad) {
  const ModelFactory* factory = ModelRegistry::Get().Find("bert");
  const Architecture* architecture = ArchitectureRegistry::Get().Find("bert");
  for (const TinyBertOptions& options :
       {TinyBertOptions{}, TinyBertOptions{.prefix = "bert."}, TinyBertOptions{.old_norm_names = true},
        TinyBertOptions{.pooler = false}, TinyBertOptions{.dtype = weights::DType::kBF16},
        TinyBertOptions{.dtype = weights::DType::kF16}}) {
    TemporaryDirectory dir;
    ASSERT_TRUE(WriteTinyBert(dir.path(), options).ok());
    const auto model = factory->create(ConfigOf("bert"), 1);
    const training::LoadReport report = training::LoadWeights(*model, *factory, dir.path() + "/model.safetensors");
    EXPECT_THAT(report.ignored, ::testing::IsEmpty());
    std::vector<std::string> optional;
    if (!options.pooler) {
      const ModelLayout layout = *architecture->describe(ConfigOf("bert"));
      for (const ParameterShape& parameter : layout.parameters) {
        if (parameter.optional) optional.push_back(architecture->prefix + parameter.name);
      }
    }
    EXPECT_EQ(report.newly_initialised, optional);
  }
}

}  // namespace
}  // namespace attune
