#include "server/training/steps/plan/lora_set.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<architectures::NamedShape> kBert = {{"bert.embeddings.word_embeddings.weight", {99, 16}},
                                                      {"bert.layer.0.attention.self.query.weight", {16, 16}},
                                                      {"bert.layer.0.attention.self.query.bias", {16}},
                                                      {"bert.layer.0.attention.self.key.weight", {16, 16}},
                                                      {"bert.layer.0.attention.self.value.weight", {16, 16}},
                                                      {"bert.layer.0.norm.weight", {16}}};
const std::vector<architectures::NamedShape> kConvnet = {{"stem.weight", {8, 3, 3, 3}}, {"project.weight", {4, 8, 1, 1}}, {"fc1.weight", {4, 8}}};

std::string MistakeOf(const std::vector<architectures::NamedShape>& parameters, const std::vector<std::string>& patterns) {
  try {
    LoraSet(parameters, "bert.", patterns);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

TEST(LoraSet, UsualTargets) {
  EXPECT_THAT(LoraSet(kBert, "bert.", {}), ElementsAre(false, true, false, false, true, false));
  EXPECT_THAT(LoraSet(kConvnet, "", {}), ElementsAre(false, true, false));
}

TEST(LoraSet, PatternsMatchWeightsOfLayersAlone) {
  EXPECT_THAT(LoraSet(kBert, "bert.", {"*"}), ElementsAre(false, true, false, true, true, false));
  EXPECT_THAT(LoraSet(kBert, "bert.", {"layer.*.key.*", "bert.layer.0.attention.self.query.weight"}), ElementsAre(false, true, false, true, false, false));
  EXPECT_THAT(LoraSet(kConvnet, "", {"*"}), ElementsAre(true, true, true));
}

TEST(LoraSet, MistakesAreNamed) {
  for (const char* pattern : {"nothing.*", "*.bias", "*word_embeddings*", "layer.0.norm.weight"}) EXPECT_THAT(MistakeOf(kBert, {"*", pattern}), HasSubstr(pattern));
  EXPECT_THAT(MistakeOf(kBert, {"layer.[0"}), HasSubstr("lora.target_modules"));
  EXPECT_THAT(MistakeOf({{"fc.weight", {4, 4}}}, {}), HasSubstr("neither attention nor 1 x 1 convolutions"));
}

}  // namespace
}  // namespace attune::training
