// Which config.json describes a ViT or a DINOv2, and what it describes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"

namespace attune::architectures {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const Architecture& Find(const std::string& name) { return *ArchitectureRegistry::Get().Find(name); }

Json SmallVit() {
  return {{"model_type", "vit"},      {"hidden_size", 32}, {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"intermediate_size", 40}, {"image_size", 64},  {"patch_size", 16}};
}

Json SmallDino() {
  return {{"model_type", "dinov2"}, {"hidden_size", 32}, {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"mlp_ratio", 2},         {"image_size", 42},  {"patch_size", 14}};
}

int64_t ParameterCount(const ModelLayout& layout) {
  int64_t count = 0;
  for (const ParameterShape& parameter : layout.parameters) count += parameter.value_count();
  return count;
}

std::map<std::string, std::vector<int64_t>> ShapesOf(const ModelLayout& layout) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const ParameterShape& parameter : layout.parameters) shapes[parameter.name] = parameter.shape;
  return shapes;
}

std::string ErrorOf(Json config, const char* key, const Json& value) {
  config[key] = value;
  const auto layout = Find(config["model_type"]).describe(config);
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument) << key << " " << value;
  return std::string(layout.status().message());
}

TEST(VitArchitectureTest, AbsentKeysAreTransformersDefaults) {
  const ModelLayout base = *Find("vit").describe(Json{{"model_type", "vit"}});
  EXPECT_EQ(ParameterCount(base), 85798656);  // ViTModel(ViTConfig(), add_pooling_layer=False)
  EXPECT_EQ(base.image.image_size, 224);
  EXPECT_EQ(base.image.resize_size, 224);
  EXPECT_FALSE(base.image.bicubic);
  EXPECT_EQ(base.image.min_image_size, 16);
  EXPECT_EQ(base.image.size_step, 16);
  EXPECT_THAT(base.image.mean, ElementsAre(0.5f, 0.5f, 0.5f));
  EXPECT_THAT(base.image.standard_deviation, ElementsAre(0.5f, 0.5f, 0.5f));
}

TEST(VitArchitectureTest, DescribesNamesShapesAndGroups) {
  const ModelLayout layout = *Find("vit").describe(SmallVit());
  EXPECT_THAT(layout.groups, ElementsAre("embeddings", "layer.0", "layer.1", "norm"));
  const auto shapes = ShapesOf(layout);
  EXPECT_EQ(shapes.size(), 4u + 2 * 16 + 2);
  EXPECT_THAT(shapes.at("embeddings.cls_token"), ElementsAre(1, 1, 32));
  EXPECT_THAT(shapes.at("embeddings.position_embeddings"), ElementsAre(1, 17, 32));
  EXPECT_THAT(shapes.at("embeddings.patch_embeddings.projection.weight"), ElementsAre(32, 3, 16, 16));
  EXPECT_THAT(shapes.at("encoder.layer.1.intermediate.dense.weight"), ElementsAre(40, 32));
  EXPECT_THAT(shapes.at("encoder.layer.1.attention.attention.query.bias"), ElementsAre(32));
  for (const ParameterShape& parameter : layout.parameters) {
    EXPECT_FALSE(parameter.optional) << parameter.name;
    if (parameter.name.find("layer.1.") != std::string::npos) {
      EXPECT_EQ(parameter.group, "layer.1") << parameter.name;
    }
  }
  EXPECT_EQ(layout.parameters.front().role, Role::kTable);
  EXPECT_EQ(layout.parameters.back().group, "norm");
}

TEST(VitArchitectureTest, WithoutBiasesOfTheProjections) {
  for (const Json& small : {SmallVit(), SmallDino()}) {
    Json config = small;
    config["qkv_bias"] = false;
    const auto shapes = ShapesOf(*Find(config["model_type"]).describe(config));
    EXPECT_EQ(shapes.count("encoder.layer.0.attention.attention.key.bias"), 0u);
    EXPECT_EQ(shapes.count("encoder.layer.0.attention.output.dense.bias"), 1u);
  }
}

TEST(VitArchitectureTest, WhatPretrainingNeedsMeansNothing) {
  for (const char* name : {"pooler.dense.weight", "pooler.dense.bias", "embeddings.mask_token"}) EXPECT_TRUE(Find("vit").is_buffer(name)) << name;
  EXPECT_FALSE(Find("vit").is_buffer("embeddings.cls_token"));
  EXPECT_TRUE(Find("dinov2").is_buffer("embeddings.mask_token"));
  EXPECT_FALSE(Find("dinov2").is_buffer("embeddings.position_embeddings"));
  EXPECT_EQ(CanonicalName(Find("vit"), "vit.layernorm.weight"), "layernorm.weight");
  EXPECT_EQ(CanonicalName(Find("dinov2"), "layernorm.weight"), "layernorm.weight");
}

TEST(Dinov2ArchitectureTest, AbsentKeysAreTransformersDefaults) {
  const ModelLayout base = *Find("dinov2").describe(Json{{"model_type", "dinov2"}});
  EXPECT_EQ(ParameterCount(base), 85724928);  // Dinov2Model(Dinov2Config()) without its mask token
  EXPECT_EQ(base.image.image_size, 224);
  EXPECT_EQ(base.image.resize_size, 256);
  EXPECT_TRUE(base.image.bicubic);
  EXPECT_EQ(base.image.size_step, 14);
  EXPECT_FLOAT_EQ(base.image.mean[0], 0.485f);
}

TEST(Dinov2ArchitectureTest, PositionsOfLargeImagesAreUsedOnTheUsualOnes) {
  Json config = {{"model_type", "dinov2"}, {"hidden_size", 384}, {"num_attention_heads", 6}, {"image_size", 518}};
  const ModelLayout small_14 = *Find("dinov2").describe(config);
  EXPECT_EQ(ParameterCount(small_14), 22056192);  // facebook/dinov2-small without its mask token
  EXPECT_EQ(small_14.image.image_size, 224);
  EXPECT_THAT(ShapesOf(small_14).at("embeddings.position_embeddings"), ElementsAre(1, 1370, 384));
  config["resize_size"] = 240;
  EXPECT_EQ(Find("dinov2").describe(config)->image.resize_size, 240);
}

TEST(Dinov2ArchitectureTest, DescribesBothKindsOfFeedForward) {
  const auto plain = ShapesOf(*Find("dinov2").describe(SmallDino()));
  EXPECT_THAT(plain.at("encoder.layer.0.mlp.fc1.weight"), ElementsAre(64, 32));
  EXPECT_THAT(plain.at("encoder.layer.0.layer_scale2.lambda1"), ElementsAre(32));
  Json config = SmallDino();
  config["use_swiglu_ffn"] = true;
  const ModelLayout layout = *Find("dinov2").describe(config);
  const auto gated = ShapesOf(layout);
  EXPECT_THAT(gated.at("encoder.layer.0.mlp.weights_in.weight"), ElementsAre(96, 32));  // 2 * (64 * 2 / 3, rounded up to 8)
  EXPECT_THAT(gated.at("encoder.layer.0.mlp.weights_out.weight"), ElementsAre(32, 48));
  for (const ParameterShape& parameter : layout.parameters) {
    EXPECT_EQ(parameter.role == Role::kLayerScale, parameter.name.find("layer_scale") != std::string::npos) << parameter.name;
  }
}

struct ConfigCase {
  const char* key;
  Json value;
  const char* message;
};

TEST(VitArchitectureTest, RefusesConfigs) {
  const int64_t huge = int64_t{1} << 62;
  const std::vector<ConfigCase> common = {
      {"hidden_size", huge, "from 1 to 16384"},
      {"hidden_size", 0, "hidden_size is 0"},
      {"hidden_size", "32", "whole number"},
      {"hidden_size", 33, "must be a multiple of num_attention_heads (4)"},
      {"num_attention_heads", 0, "from 1 to 256"},
      {"num_attention_heads", 5, "multiple"},
      {"num_hidden_layers", 257, "from 1 to 256"},
      {"num_hidden_layers", -1, "num_hidden_layers is -1"},
      {"head_dim", 16, "hidden_size / num_attention_heads (8)"},
      {"image_size", Json::array({64, 64}), "is an array"},
      {"image_size", 0, "image_size is 0"},
      {"image_size", huge, "image_size"},
      {"image_size", 65, "must be a multiple of patch_size"},
      {"patch_size", 0, "from 1 to 1024"},
      {"patch_size", Json::array({16, 16}), "is an array"},
      {"num_channels", 1, "num_channels is 1"},
      {"num_channels", 4, "num_channels is 4"},
      {"qkv_bias", 1, "true or false"},
      {"hidden_act", "quick_gelu", "supported: gelu"},
      {"hidden_act", "swishy", "did you mean swish?"},
      {"layer_norm_eps", -1, "from 0 to 1"},
      {"layer_norm_eps", "1e-6", "must be a number"},
      {"hidden_dropout_prob", 1, "from 0 to 0.999"},
      {"attention_probs_dropout_prob", -0.1, "attention_probs_dropout_prob"},
      {"initializer_range", 11, "initializer_range"},
      {"interpolation", "nearest", "supported: bilinear, bicubic"},
      {"image_mean", Json::array({0.5, 0.5}), "list of 3 numbers"},
      {"image_std", Json::array({0.5, 0, 0.5}), "image_std"},
      {"resize_size", 8, "resize_size"},
  };
  for (const Json& small : {SmallVit(), SmallDino()}) {
    for (const ConfigCase& c : common) {
      const std::string error = ErrorOf(small, c.key, c.value);
      EXPECT_THAT(error, HasSubstr(c.message)) << small["model_type"] << " " << c.key;
      EXPECT_THAT(error, HasSubstr(c.key)) << small["model_type"];
      EXPECT_THAT(error, HasSubstr("config.json")) << c.key;
    }
  }
  EXPECT_THAT(ErrorOf(SmallVit(), "intermediate_size", 131073), HasSubstr("from 1 to 131072"));
  EXPECT_THAT(ErrorOf(SmallVit(), "image_size", 1040), HasSubstr("image_size is 1040"));
  EXPECT_THAT(ErrorOf(SmallDino(), "mlp_ratio", 0), HasSubstr("mlp_ratio is 0"));
  EXPECT_THAT(ErrorOf(SmallDino(), "mlp_ratio", 2.5), HasSubstr("whole number"));
  EXPECT_THAT(ErrorOf(SmallDino(), "use_swiglu_ffn", "yes"), HasSubstr("use_swiglu_ffn"));
  EXPECT_THAT(ErrorOf(SmallDino(), "layerscale_value", 101), HasSubstr("layerscale_value"));
  EXPECT_THAT(ErrorOf(SmallDino(), "drop_path_rate", 1), HasSubstr("drop_path_rate"));
}

TEST(VitArchitectureTest, RefusesSizesThatAreAbsurdTogether) {
  Json vit = SmallVit();
  vit.update({{"hidden_size", 16384}, {"intermediate_size", 131072}, {"num_hidden_layers", 256}, {"num_attention_heads", 256}});
  EXPECT_THAT(std::string(Find("vit").describe(vit).status().message()), HasSubstr("billion parameters"));
  Json dino = SmallDino();
  dino.update({{"image_size", 4096}, {"patch_size", 8}});
  EXPECT_THAT(std::string(Find("dinov2").describe(dino).status().message()), HasSubstr("positions; at most 65536"));
}

}  // namespace
}  // namespace attune::architectures
