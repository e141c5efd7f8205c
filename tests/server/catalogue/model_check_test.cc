// A model's directory as a whole: what is accepted, and every kind of damage.
#include "server/catalogue/model_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "server/base/files.h"
#include "tests/fakes/tiny_bert.h"
#include "tests/server/catalogue/model_directory_test_base.h"

namespace attune::catalogue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::ordered_json;

class ModelCheckTest : public ModelDirectoryTest {
 protected:
  void SetUp() override { ASSERT_TRUE(WriteTinyBert(dir_.path()).ok()); }
};

TEST_F(ModelCheckTest, AcceptsNamesAndTypesOfAllKinds) {
  for (const char* prefix : {"", "bert."}) {
    for (const bool old_names : {false, true}) {
      for (const weights::DType dtype : {weights::DType::kF32, weights::DType::kF16, weights::DType::kBF16}) {
        ASSERT_TRUE(WriteTinyBert(dir_.path(), {.prefix = prefix, .old_norm_names = old_names, .dtype = dtype}).ok());
        const auto description = Check();
        ASSERT_TRUE(description.ok()) << description.status();
        EXPECT_EQ(description->config.architecture->name, "bert");
        EXPECT_THAT(description->ignored_tensors, IsEmpty());
      }
    }
  }
}

TEST_F(ModelCheckTest, AcceptsAModelWithoutPooler) {
  ASSERT_TRUE(WriteTinyBert(dir_.path(), {.pooler = false}).ok());
  EXPECT_TRUE(Check().ok()) << Check().status();
}

TEST_F(ModelCheckTest, ListsIgnoredTensorsButNotBuffers) {
  Tensors tensors = TinyBertTensors({.prefix = "bert."});
  tensors.push_back({"bert.embeddings.position_ids", {1, 64}, weights::DType::kI64, std::string(512, '\0')});
  tensors.push_back({"cls.predictions.bias", {3}, weights::DType::kF32, std::string(12, '\0')});
  tensors.push_back({"classifier.weight", {2, 32}, weights::DType::kF32, std::string(256, '\0')});
  SetTensors(tensors);
  EXPECT_THAT(Check()->ignored_tensors, ElementsAre("classifier.weight", "cls.predictions.bias"));
}

TEST_F(ModelCheckTest, RefusesMissingTensorsAndListsThem) {
  Tensors tensors = TinyBertTensors();
  Erase(tensors, "layer.1.attention.self");
  SetTensors(tensors);
  ExpectRefused("missing", {"model.safetensors: 6 tensors", "encoder.layer.1.attention.self.query.weight",
                            "encoder.layer.1.attention.self.value.bias", "save_pretrained"});
  tensors = TinyBertTensors();
  Erase(tensors, "encoder.layer.0.output.dense.bias");
  SetTensors(tensors);
  ExpectRefused("one", {"1 tensor that a bert", "is missing: encoder.layer.0.output.dense.bias"});
  tensors = TinyBertTensors();
  Erase(tensors, "encoder.layer.");
  SetTensors(tensors);
  ExpectRefused("many", {"32 tensors", "and 22 more"});
}

TEST_F(ModelCheckTest, RefusesAnotherArchitecturesNames) {
  SetTensors({{"transformer.h.0.attn.weight", {4}, weights::DType::kF32, std::string(16, '\0')}});
  ExpectRefused("other names", {"transformer.h.0.attn.weight", "another architecture"});
  SetTensors({});
  ExpectRefused("no tensors", {"missing"});
}

TEST_F(ModelCheckTest, RefusesHalfAPooler) {
  Tensors tensors = TinyBertTensors();
  Erase(tensors, "pooler.dense.bias");
  SetTensors(tensors);
  ExpectRefused("half a pooler", {"pooler is not whole", "pooler.dense.bias"});
}

TEST_F(ModelCheckTest, RefusesWrongShapes) {
  Tensors tensors = TinyBertTensors();
  Named(tensors, "encoder.layer.0.intermediate.dense.weight").shape = {32, 64};  // transposed
  SetTensors(tensors);
  ExpectRefused("transposed",
                {"encoder.layer.0.intermediate.dense.weight", "[32, 64]", "config.json asks for [64, 32]"});
  tensors = TinyBertTensors();
  Named(tensors, "pooler.dense.weight").shape = {1024};
  SetTensors(tensors);
  ExpectRefused("flat", {"pooler.dense.weight", "[1024]"});
}

TEST_F(ModelCheckTest, RefusesOtherTypes) {
  Tensors tensors = TinyBertTensors();
  TinyTensor& tensor = Named(tensors, "encoder.layer.1.output.dense.weight");
  tensor.dtype = weights::DType::kI8;
  tensor.bytes.resize(tensor.bytes.size() / 4);
  SetTensors(tensors);
  ExpectRefused("int8", {"encoder.layer.1.output.dense.weight", "I8", "F32, F16 or BF16"});
}

TEST_F(ModelCheckTest, RefusesTwoTensorsForOneParameter) {
  Tensors tensors = TinyBertTensors();
  TinyTensor twin = Named(tensors, "pooler.dense.bias");
  twin.name = "bert.pooler.dense.bias";
  tensors.push_back(twin);
  SetTensors(tensors);
  ExpectRefused("twins", {"\"pooler.dense.bias\" and \"bert.pooler.dense.bias\"", "the same parameter"});
}

TEST_F(ModelCheckTest, NamesTheTensorThatIsNotFinite) {
  for (const float value :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (const weights::DType dtype : {weights::DType::kF32, weights::DType::kBF16}) {
      Tensors tensors = TinyBertTensors({.dtype = dtype});
      TinyTensor& tensor = Named(tensors, "encoder.layer.1.attention.self.key.weight");
      std::string bytes;
      AppendTinyValue(value, dtype, &bytes);
      tensor.bytes.replace(tensor.bytes.size() / 2, bytes.size(), bytes);
      SetTensors(tensors);
      ExpectRefused("not finite", {"model.safetensors", "encoder.layer.1.attention.self.key.weight"});
    }
  }
}

TEST_F(ModelCheckTest, RefusesTooManyUnusedTensors) {
  Tensors tensors = TinyBertTensors();
  for (int i = 0; i < 1001; ++i)
    tensors.push_back({"expert." + std::to_string(i), {1}, weights::DType::kF32, std::string(4, '\0')});
  SetTensors(tensors);
  ExpectRefused("unused", {"1001 of the tensors"});
  tensors = TinyBertTensors();
  tensors.push_back({std::string(600, 'n'), {1}, weights::DType::kF32, std::string(4, '\0')});
  SetTensors(tensors);
  ExpectRefused("long name", {"too long a name"});
}

// Rewrites the JSON header of a safetensors file.
std::string WithHeader(const std::string& file, const std::function<void(Json&)>& change) {
  uint64_t size = 0;
  std::memcpy(&size, file.data(), sizeof(size));
  Json header = Json::parse(file.substr(8, size));
  change(header);
  const std::string text = header.dump();
  const uint64_t new_size = text.size();
  return std::string(reinterpret_cast<const char*>(&new_size), 8) + text + file.substr(8 + size);
}

TEST_F(ModelCheckTest, RefusesHostileSafetensors) {
  const std::string good = *ReadFile(Path("model.safetensors"));
  const std::string name = "encoder.layer.0.attention.self.query.weight";
  struct Case {
    const char* what;
    std::string content;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"overlapping offsets",
       WithHeader(good,
                  [&](Json& h) {
                    const int64_t begin = h[name]["data_offsets"][0];
                    const int64_t end = h[name]["data_offsets"][1];
                    h[name]["data_offsets"] = {begin - 4, end - 4};
                  }),
       {"overlap"}},
      {"shape overflow",
       WithHeader(good, [&](Json& h) { h[name]["shape"] = {int64_t{1} << 62, int64_t{1} << 62}; }),
       {name}},
      {"negative size", WithHeader(good, [&](Json& h) { h[name]["shape"] = {-32, -32}; }), {name}},
      {"negative offset", WithHeader(good, [&](Json& h) { h[name]["data_offsets"][0] = -4; }), {name}},
      {"past the end",
       WithHeader(good, [&](Json& h) { h[name]["data_offsets"] = {int64_t{1} << 40, (int64_t{1} << 40) + 4096}; }),
       {name}},
      {"unknown type", WithHeader(good, [&](Json& h) { h[name]["dtype"] = "F99"; }), {name}},
      {"cut off", good.substr(0, good.size() / 2), {"model.safetensors"}},
      {"trailing bytes", good + "more", {"model.safetensors"}},
      {"empty", "", {"model.safetensors"}},
      {"header longer than the file", std::string(8, '\x7f') + "{}", {"model.safetensors"}},
      {"a pickle", "\x80\x02}q\x00.", {"model.safetensors"}},
  };
  for (const Case& c : cases) {
    Write("model.safetensors", c.content);
    ExpectRefused(c.what, c.parts);
  }
}

TEST_F(ModelCheckTest, RefusesConfigs) {
  struct Case {
    std::string content;
    std::vector<std::string> parts;
  };
  const auto with = [](const char* key, const Json& value) {
    Json config = TinyBertConfig();
    config[key] = value;
    return config.dump();
  };
  Json untyped = TinyBertConfig();
  untyped.erase("model_type");
  const std::vector<Case> cases = {
      {"{", {"config.json"}},
      {"[]", {"config.json", "JSON object"}},
      {std::string(3 << 20, '['), {"config.json", "deep"}},
      {std::string((4 << 20) + 1, ' '), {"config.json", "more than"}},
      {untyped.dump(), {"model_type is missing", "bert"}},
      {with("model_type", 7), {"model_type"}},
      {with("model_type", "bret"), {"\"bret\"", "did you mean \"bert\"?"}},
      {with("model_type", "mamba"), {"\"mamba\"", "supported: bert, dinov2"}},
      {with("hidden_size", int64_t{1} << 40), {"hidden_size"}},
      {with("hidden_size", 64), {"embeddings.word_embeddings.weight", "do not belong together"}},
      {with("num_hidden_layers", 3), {"encoder.layer.2.attention.self.query.weight"}},
      {with("vocab_size", 30), {"embeddings.word_embeddings.weight"}},
      {with("num_attention_heads", 5), {"num_attention_heads"}},
  };
  for (const Case& c : cases) {
    Write("config.json", c.content);
    ExpectRefused(c.content.substr(0, 40), c.parts);
  }
}

TEST_F(ModelCheckTest, FewerLayersThanTheCheckpointHasIsAllowed) {
  Json config = TinyBertConfig();
  config["num_hidden_layers"] = 1;
  Write("config.json", config.dump());
  EXPECT_EQ(Check()->ignored_tensors.size(), 16u);
}

TEST_F(ModelCheckTest, RefusesTokenizersThatDoNotFit) {
  const auto with = [](const std::function<void(Json&)>& change) {
    Json tokenizer = TinyTokenizer();
    change(tokenizer);
    return tokenizer.dump();
  };
  struct Case {
    std::string content;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {with([](Json& t) { t["model"]["vocab"]["extra"] = TinyVocabularySize(); }), {"tokenizer.json", "vocab_size"}},
      {with([](Json& t) { t["post_processor"]["special_tokens"]["[SEP]"]["ids"] = {999}; }), {"999", "vocab_size"}},
      {with([](Json& t) { t["post_processor"] = nullptr; }), {"post_processor"}},
      {with([](Json& t) { t["post_processor"]["single"][0]["SpecialToken"]["type_id"] = 2; }),
       {"segment 2", "type_vocab_size"}},
      {with([](Json& t) { t["post_processor"]["single"][1]["Sequence"]["type_id"] = 2; }), {"segment 2", "type_vocab_size"}},
      {with([](Json& t) { t["post_processor"]["single"][1]["Sequence"]["type_id"] = 4294967295u; }), {"tokenizer.json", "31 bits"}},
      {"{\"version\": \"1.0\"}", {"tokenizer.json"}},
      {std::string(100000, '['), {"tokenizer.json"}},
      {TinyTokenizerJson().substr(0, 1000), {"tokenizer.json"}},
  };
  for (const Case& c : cases) {
    Write("tokenizer.json", c.content);
    ExpectRefused(c.content.substr(0, 40), c.parts);
  }
}

TEST_F(ModelCheckTest, FilesAreThoseOfTextModels) {
  Write("preprocessor_config.json", "{}");
  ExpectRefused("image file", {"files: preprocessor_config.json is for models that take images", "the bert of config.json takes text"});
  ASSERT_TRUE(Files::Posix().Remove(Path("preprocessor_config.json")).ok());
  ASSERT_TRUE(Files::Posix().Remove(Path("tokenizer.json")).ok());
  ExpectRefused("no tokenizer", {"files: tokenizer.json is missing, and the bert of config.json takes text", "AutoTokenizer"});
}

TEST_F(ModelCheckTest, RefusesBrokenSideFiles) {
  Write("special_tokens_map.json", "[]");
  ExpectRefused("special tokens", {"special_tokens_map.json"});
  Write("special_tokens_map.json", "{}");
  Write("tokenizer_config.json", "{\"a\":");
  ExpectRefused("tokenizer config", {"tokenizer_config.json"});
}

}  // namespace
}  // namespace attune::catalogue
