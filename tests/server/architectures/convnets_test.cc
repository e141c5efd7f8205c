// Which config.json describes a VGG, ResNet, Inception v3, MobileNetV2 or EfficientNet, key by key, and the groups and input that it describes. Names and shapes are compared
// with torchvision's in tests/training/models/vision.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/architectures/architecture.h"

namespace attune::architectures {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

absl::StatusOr<ModelLayout> Describe(const std::string& name, const Json& config = Json::object()) { return ArchitectureRegistry::Get().Find(name)->describe(config); }

int64_t ParameterCount(const ModelLayout& layout) {
  int64_t count = 0;
  for (const ParameterShape& parameter : layout.parameters) count += parameter.value_count();
  return count;
}

struct Expected {
  const char* name;
  int64_t parameters;  // of torchvision's model, less those of the heads
  int image_size, resize_size;
  bool bicubic;
};

class Default : public ::testing::TestWithParam<Expected> {};

TEST_P(Default, IsTorchvisions) {
  const Expected& expected = GetParam();
  const auto layout = Describe(expected.name);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(ParameterCount(*layout), expected.parameters);
  EXPECT_EQ(layout->image.image_size, expected.image_size);
  EXPECT_EQ(layout->image.resize_size, expected.resize_size);
  EXPECT_EQ(layout->image.bicubic, expected.bicubic);
}

// Whole counts as torchvision states them (`num_params` of the weights' meta).
constexpr int64_t Less(int64_t whole, int64_t features, int64_t auxiliary = 0) { return whole - 1000 * (features + 1) - (auxiliary > 0 ? 1000 * (auxiliary + 1) : 0); }

INSTANTIATE_TEST_SUITE_P(
    Variants, Default,
    ::testing::Values(Expected{"vgg11", Less(132863336, 4096), 224, 256, false}, Expected{"vgg13", Less(133047848, 4096), 224, 256, false},
                      Expected{"vgg16", Less(138357544, 4096), 224, 256, false}, Expected{"vgg19", Less(143667240, 4096), 224, 256, false},
                      Expected{"vgg11_bn", Less(132868840, 4096), 224, 256, false}, Expected{"vgg13_bn", Less(133053736, 4096), 224, 256, false},
                      Expected{"vgg16_bn", Less(138365992, 4096), 224, 256, false}, Expected{"vgg19_bn", Less(143678248, 4096), 224, 256, false},
                      Expected{"resnet18", Less(11689512, 512), 224, 256, false}, Expected{"resnet34", Less(21797672, 512), 224, 256, false},
                      Expected{"resnet50", Less(25557032, 2048), 224, 256, false}, Expected{"resnet101", Less(44549160, 2048), 224, 256, false},
                      Expected{"resnet152", Less(60192808, 2048), 224, 256, false}, Expected{"resnext50_32x4d", Less(25028904, 2048), 224, 256, false},
                      Expected{"resnext101_32x8d", Less(88791336, 2048), 224, 256, false}, Expected{"resnext101_64x4d", Less(83455272, 2048), 224, 232, false},
                      Expected{"wide_resnet50_2", Less(68883240, 2048), 224, 256, false}, Expected{"wide_resnet101_2", Less(126886696, 2048), 224, 256, false},
                      Expected{"inception_v3", Less(27161264, 2048, 768), 299, 342, false}, Expected{"mobilenet_v2", Less(3504872, 1280), 224, 256, false},
                      Expected{"efficientnet_b0", Less(5288548, 1280), 224, 256, true}, Expected{"efficientnet_b1", Less(7794184, 1280), 240, 256, true},
                      Expected{"efficientnet_b2", Less(9109994, 1408), 288, 288, true}, Expected{"efficientnet_b3", Less(12233232, 1536), 300, 320, true},
                      Expected{"efficientnet_b4", Less(19341616, 1792), 380, 384, true}, Expected{"efficientnet_b5", Less(30389784, 2048), 456, 456, true},
                      Expected{"efficientnet_b6", Less(43040704, 2304), 528, 528, true}, Expected{"efficientnet_b7", Less(66347960, 2560), 600, 600, true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ConvNets, GroupsAreStages) {
  EXPECT_THAT(Describe("resnet18")->groups, ElementsAre("stem", "layer1", "layer2", "layer3", "layer4"));
  EXPECT_THAT(Describe("vgg19_bn")->groups, ElementsAre("block1", "block2", "block3", "block4", "block5", "classifier"));
  EXPECT_THAT(Describe("inception_v3")->groups, ElementsAre("stem", "mixed5", "mixed6", "aux", "mixed7"));
  EXPECT_THAT(Describe("inception_v3", {{"aux_logits", false}})->groups, ElementsAre("stem", "mixed5", "mixed6", "mixed7"));
  for (const char* name : {"mobilenet_v2", "efficientnet_b7"}) {
    EXPECT_THAT(Describe(name)->groups, ElementsAre("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "last_conv")) << name;
  }
  for (const char* name : {"vgg16", "inception_v3"}) {
    const ModelLayout layout = *Describe(name);
    for (const ParameterShape& parameter : layout.parameters) EXPECT_EQ(parameter.optional, parameter.group == "classifier" || parameter.group == "aux") << parameter.name;
  }
}

TEST(ConvNets, SmallerOnesAreSmaller) {
  const std::vector<std::pair<std::string, Json>> small = {{"resnet50", {{"layers", {1, 1, 1, 1}}, {"width_per_group", 4}, {"groups", 2}}},
                                                           {"vgg16", {{"features", {4, "M", 6, 6, "M"}}, {"classifier_width", 8}}},
                                                           {"mobilenet_v2", {{"width_mult", 0.1}, {"inverted_residual_setting", {{1, 8, 1, 1}, {2, 16, 1, 2}}}}},
                                                           {"efficientnet_b3", {{"width_mult", 0.1}, {"depth_mult", 0.1}}}};
  for (const auto& [name, config] : small) {
    const auto layout = Describe(name, config);
    ASSERT_TRUE(layout.ok()) << layout.status();
    EXPECT_LT(ParameterCount(*layout), ParameterCount(*Describe(name)) / 3) << name;
  }
}

struct Refused {
  const char* name;
  Json config;
  const char* message;
};

class RefusedConfig : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedConfig, NamesTheKey) {
  const auto layout = Describe(GetParam().name, GetParam().config);
  ASSERT_FALSE(layout.ok()) << GetParam().config;
  EXPECT_EQ(layout.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(layout.status().message()), HasSubstr(GetParam().message)) << GetParam().config;
}

INSTANTIATE_TEST_SUITE_P(
    Image, RefusedConfig,
    ::testing::Values(Refused{"resnet18", {{"image_size", 31}}, "image_size is 31; it must be a whole number from 32 to 1024"}, Refused{"resnet18", {{"image_size", 1025}}, "image_size is 1025"},
                      Refused{"resnet18", {{"image_size", "224"}}, "image_size is \"224\""}, Refused{"resnet18", {{"image_size", 224.5}}, "image_size"},
                      Refused{"resnet18", {{"resize_size", 223}}, "resize_size is 223; it must be a whole number from 224 to 2048"},
                      Refused{"resnet18", {{"image_size", 300}, {"resize_size", 256}}, "resize_size is 256"}, Refused{"resnet18", {{"resize_size", 2049}}, "resize_size is 2049"},
                      Refused{"resnet18", {{"interpolation", "bicubi"}}, "did you mean bicubic"}, Refused{"resnet18", {{"interpolation", 3}}, "interpolation is 3"},
                      Refused{"resnet18", {{"image_mean", {0.5, 0.5}}}, "image_mean is an array; it must be a list of 3 numbers from -10 to 10"}, Refused{"resnet18", {{"image_mean", 0.5}}, "image_mean is 0.5"},
                      Refused{"resnet18", {{"image_mean", {0.5, "a", 0.5}}}, "image_mean"}, Refused{"resnet18", {{"image_mean", {0.5, 11, 0.5}}}, "image_mean"},
                      Refused{"resnet18", {{"image_std", {0.5, 0, 0.5}}}, "image_std"}, Refused{"resnet18", {{"image_std", {0.5, -1, 0.5}}}, "image_std"}));

INSTANTIATE_TEST_SUITE_P(
    Sizes, RefusedConfig,
    ::testing::Values(Refused{"resnet18", {{"layers", {2, 2, 2}}}, "layers is an array; it must be a list of 4 whole numbers from 1 to 256"}, Refused{"resnet18", {{"layers", 2}}, "layers is 2"},
                      Refused{"resnet18", {{"layers", {0, 2, 2, 2}}}, "layers"}, Refused{"resnet18", {{"layers", {257, 2, 2, 2}}}, "layers"}, Refused{"resnet18", {{"layers", {1.5, 2, 2, 2}}}, "layers"},
                      Refused{"resnet18", {{"layers", {18446744073709551615u, 2, 2, 2}}}, "layers"}, Refused{"resnet18", {{"width_per_group", 128}}, "width_per_group is 128"},
                      Refused{"resnet18", {{"groups", 2}}, "groups is 2"}, Refused{"resnet50", {{"groups", 0}}, "groups is 0"}, Refused{"resnet50", {{"groups", 1025}}, "groups is 1025"},
                      Refused{"resnet50", {{"width_per_group", 1025}}, "width_per_group is 1025"},
                      Refused{"resnet50", {{"layers", {256, 256, 256, 256}}, {"groups", 64}, {"width_per_group", 1024}}, "layers, groups and width_per_group together describe over 17 billion"},
                      Refused{"vgg11", {{"features", Json::array()}}, "features"}, Refused{"vgg11", {{"features", "M"}}, "features is \"M\""}, Refused{"vgg11", {{"features", {64, "M", 64}}}, "features"},
                      Refused{"vgg11", {{"features", {"M"}}}, "features"}, Refused{"vgg11", {{"features", {64, "M", "M"}}}, "features"}, Refused{"vgg11", {{"features", {0, "M"}}}, "features"},
                      Refused{"vgg11", {{"features", {16385, "M"}}}, "features"}, Refused{"vgg11", {{"features", {64, "A"}}}, "features"},
                      Refused{"vgg11", {{"features", {1, "M", 1, "M", 1, "M", 1, "M", 1, "M", 1, "M"}}}, "1 to 5 blocks"}, Refused{"vgg11", {{"classifier_width", 0}}, "classifier_width is 0"},
                      Refused{"vgg11", {{"classifier_width", 16385}}, "classifier_width is 16385"}, Refused{"vgg11", {{"dropout", 1}}, "dropout is 1"}, Refused{"vgg11", {{"dropout", -0.1}}, "dropout"},
                      Refused{"inception_v3", {{"aux_logits", 1}}, "aux_logits is 1; it must be true or false"}, Refused{"inception_v3", {{"transform_input", "yes"}}, "transform_input is \"yes\""},
                      Refused{"inception_v3", {{"pool_count_include_pad", 0}}, "pool_count_include_pad is 0"}, Refused{"inception_v3", {{"batch_norm_eps", 0}}, "batch_norm_eps is 0"},
                      Refused{"inception_v3", {{"batch_norm_eps", 2}}, "batch_norm_eps is 2"}, Refused{"inception_v3", {{"image_size", 298}}, "set aux_logits to false for smaller images"},
                      Refused{"inception_v3", {{"image_size", 74}, {"aux_logits", false}}, "image_size is 74; it must be a whole number from 75"}, Refused{"inception_v3", {{"dropout", 1}}, "dropout"},
                      Refused{"mobilenet_v2", {{"width_mult", 0}}, "width_mult is 0"}, Refused{"mobilenet_v2", {{"width_mult", 8.5}}, "width_mult is 8.5"},
                      Refused{"mobilenet_v2", {{"round_nearest", 0}}, "round_nearest is 0"}, Refused{"mobilenet_v2", {{"dropout", "0"}}, "dropout"},
                      Refused{"mobilenet_v2", {{"inverted_residual_setting", Json::array()}}, "inverted_residual_setting"}, Refused{"mobilenet_v2", {{"inverted_residual_setting", {{1, 16, 1}}}}, "inverted_residual_setting"},
                      Refused{"mobilenet_v2", {{"inverted_residual_setting", {{1, 16, 1, 3}}}}, "inverted_residual_setting"}, Refused{"mobilenet_v2", {{"inverted_residual_setting", {{33, 16, 1, 1}}}}, "inverted_residual_setting"},
                      Refused{"mobilenet_v2", {{"inverted_residual_setting", {{1, 16, 65, 1}}}}, "inverted_residual_setting"}, Refused{"mobilenet_v2", {{"inverted_residual_setting", {{1, 4097, 1, 1}}}}, "inverted_residual_setting"},
                      Refused{"efficientnet_b0", {{"width_mult", 0.001}}, "width_mult is 0.001"}, Refused{"efficientnet_b0", {{"depth_mult", 17}}, "depth_mult is 17"},
                      Refused{"efficientnet_b0", {{"stochastic_depth_prob", 1}}, "stochastic_depth_prob is 1"}, Refused{"efficientnet_b0", {{"dropout", nullptr}, {"image_size", 0}}, "image_size is 0"}));

TEST(ImageConfig, ReadsWhatIsGivenAndKeepsTheRatioOfTheCrop) {
  const ImageInput given =
      Describe("resnet18", {{"image_size", 64}, {"resize_size", 64}, {"interpolation", "bicubic"}, {"image_mean", {0, 0.25, 0.5}}, {"image_std", {1, 2, 3}}})->image;
  EXPECT_EQ(given.image_size, 64);
  EXPECT_EQ(given.resize_size, 64);
  EXPECT_TRUE(given.bicubic);
  EXPECT_THAT(given.mean, ElementsAre(0, 0.25, 0.5));
  EXPECT_THAT(given.standard_deviation, ElementsAre(1, 2, 3));
  EXPECT_EQ(Describe("resnet18", {{"image_size", 112}})->image.resize_size, 128);
  EXPECT_EQ(Describe("efficientnet_b2", {{"image_size", 64}})->image.resize_size, 64);
  EXPECT_EQ(Describe("inception_v3", {{"image_size", 75}, {"aux_logits", false}})->image.min_image_size, 75);
  EXPECT_EQ(Describe("inception_v3")->image.min_image_size, 299);
}

}  // namespace
}  // namespace attune::architectures
