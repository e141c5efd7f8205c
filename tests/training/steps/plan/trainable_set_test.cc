#include "server/training/steps/plan/trainable_set.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<NamedGroup> kParameters = {
    {"bert.embeddings.word_embeddings.weight", 0}, {"bert.encoder.layer.0.output.dense.weight", 1}, {"bert.encoder.layer.0.output.dense.bias", 1},
    {"bert.encoder.layer.1.output.dense.weight", 2}, {"bert.pooler.dense.weight", 3},               {"classifier.weight", 4},
};
const ModelShape kShape = {.prefix = "bert.", .groups = 4};

std::vector<std::string> Learning(const TrainableSpec& spec) {
  const std::vector<bool> learns = TrainableSet(kParameters, kShape, spec);
  std::vector<std::string> names;
  for (size_t i = 0; i < learns.size(); ++i) {
    if (learns[i]) names.push_back(kParameters[i].name);
  }
  return names;
}

std::string ErrorOf(const TrainableSpec& spec) {
  try {
    TrainableSet(kParameters, kShape, spec);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

using Base = TrainableSpec::Base;

TEST(TrainableSet, Bases) {
  EXPECT_THAT(Learning({.base = Base::kHeadOnly}), ElementsAre("classifier.weight"));
  EXPECT_EQ(Learning({.base = Base::kAll}).size(), kParameters.size());
  EXPECT_THAT(Learning({.base = Base::kLastNGroups, .last_n_groups = 2}),
              ElementsAre("bert.encoder.layer.1.output.dense.weight", "bert.pooler.dense.weight", "classifier.weight"));
  EXPECT_EQ(Learning({.base = Base::kLastNGroups, .last_n_groups = 4}).size(), kParameters.size());
}

TEST(TrainableSet, PatternsMatchNamesWithAndWithoutThePrefix) {
  EXPECT_THAT(Learning({.base = Base::kPatterns, .patterns = {"*.bias"}}),
              ElementsAre("bert.encoder.layer.0.output.dense.bias", "classifier.weight"));
  EXPECT_THAT(Learning({.base = Base::kPatterns, .patterns = {"encoder.layer.[1-3].*"}}),
              ElementsAre("bert.encoder.layer.1.output.dense.weight", "classifier.weight"));
  EXPECT_THAT(Learning({.base = Base::kPatterns, .patterns = {"bert.pooler.*"}}), ElementsAre("bert.pooler.dense.weight", "classifier.weight"));
}

TEST(TrainableSet, FreezeIsTakenOut) {
  EXPECT_THAT(Learning({.base = Base::kAll, .freeze = {"embeddings.*", "encoder.layer.0.*"}}),
              ElementsAre("bert.encoder.layer.1.output.dense.weight", "bert.pooler.dense.weight", "classifier.weight"));
  EXPECT_THAT(Learning({.base = Base::kLastNGroups, .last_n_groups = 1, .freeze = {"classifier.*"}}), ElementsAre("bert.pooler.dense.weight"));
}

TEST(TrainableSet, APatternWithoutAMatchIsAnErrorThatNamesTheNearest) {
  const std::string error = ErrorOf({.base = Base::kAll, .freeze = {"embedings.word_embeddings.weight"}});
  EXPECT_THAT(error, HasSubstr("\"embedings.word_embeddings.weight\" matches no parameter"));
  EXPECT_THAT(error, HasSubstr("did you mean \"embeddings.word_embeddings.weight\""));
  EXPECT_THAT(ErrorOf({.base = Base::kPatterns, .patterns = {"decoder.*"}}), HasSubstr("trainable.patterns \"decoder.*\""));
}

TEST(TrainableSet, MalformedPatternsAndEmptySetsAreErrors) {
  EXPECT_THAT(ErrorOf({.base = Base::kAll, .freeze = {"layer.[0"}}), HasSubstr("trainable.freeze"));
  EXPECT_THAT(ErrorOf({.base = Base::kHeadOnly, .freeze = {"classifier.*"}}), HasSubstr("nothing to learn"));
  EXPECT_THAT(ErrorOf({.base = Base::kLastNGroups, .last_n_groups = 5}), HasSubstr("1 to 4"));
  EXPECT_THAT(ErrorOf({.base = Base::kLastNGroups, .last_n_groups = 0}), HasSubstr("1 to 4"));
}

TEST(LayerRates, DecayFromTheTopmostThatLearns) {
  EXPECT_THAT(LayerRates({0, 1, 1, 3, 4}, 0.5), ElementsAre(0.0625, 0.125, 0.125, 0.5, 1.0));
  EXPECT_THAT(LayerRates({0, 2}, 0.5), ElementsAre(0.25, 1.0));
  EXPECT_THAT(LayerRates({0, 4}, 1.0), ElementsAre(1.0, 1.0));
}

TEST(GroupRates, ByNameAndOneForTheRest) {
  const std::vector<std::string> names = {"embeddings", "layer.0", "pooler"};
  EXPECT_THAT(GroupRates({0, 1, 1, 2, 3, 3}, names, {{"layer.0", 0.5}, {"head", 10}}), ElementsAre(1, 0.5, 0.5, 1, 10, 10));
  EXPECT_THAT(GroupRates({3}, names, {{"embeddings", 2}}), ElementsAre(1)) << "a group that does not learn";
  const auto error_of = [&](const std::map<std::string, double>& rates) -> std::string {
    try {
      GroupRates({0}, names, rates);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of({{"poler", 2}}), HasSubstr("did you mean \"pooler\"?"));
  EXPECT_THAT(error_of({{"pooler", 0}}), HasSubstr("trainable.freeze"));
}

}  // namespace
}  // namespace attune::training
