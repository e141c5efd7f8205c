// Behaviour in training: dropout is seeded by torch's default generator, and bad batches are refused.
#include <stdexcept>

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/input/text_batches.h"
#include "tests/training/models/golden_case.h"

namespace attune::training {
namespace {

class BertTraining : public ::testing::Test {
 protected:
  GoldenCase case_ = LoadGoldenCase(SourcePath("tests/golden/bert/tiny"));
  at::Tensor Features(uint64_t seed, bool training) {
    at::NoGradGuard no_grad;
    // Layers below everything that learns have no dropout.
    for (const Parameter& parameter : case_.model->parameters()) parameter.tensor.requires_grad_(true);
    at::manual_seed(seed);
    return case_.model->Forward(case_.batch, {.training = training}).features;
  }
};

TEST_F(BertTraining, DropoutFollowsTheSeed) {
  EXPECT_TRUE(Features(1, true).equal(Features(1, true)));
  EXPECT_FALSE(Features(1, true).equal(Features(2, true)));
  EXPECT_FALSE(Features(1, true).equal(Features(1, false)));
  EXPECT_TRUE(Features(1, false).equal(Features(2, false)));
}

TEST_F(BertTraining, LayersBelowEverythingThatLearnsHaveNoDropout) {
  at::NoGradGuard no_grad;
  const int count = static_cast<int>(case_.model->groups().size());
  const auto features = [&](uint64_t seed, int lowest) {
    for (const Parameter& parameter : case_.model->parameters()) parameter.tensor.requires_grad_(parameter.group >= lowest);
    at::manual_seed(seed);
    return case_.model->Forward(case_.batch, {.training = true}).features;
  };
  EXPECT_TRUE(features(1, count).equal(features(2, count)));      // the head alone learns
  EXPECT_TRUE(features(1, count - 1).equal(features(2, count - 1)));  // the pooler has none
  EXPECT_FALSE(features(1, count - 2).equal(features(2, count - 2)));
}

TEST_F(BertTraining, DropoutIsDrawnAgainForTheBackwardPass) {
  // The gradient of a run equals that of the same run again: what backward uses is what forward drew.
  std::vector<at::Tensor> first;
  for (int run = 0; run < 2; ++run) {
    at::manual_seed(9);
    for (const Parameter& p : case_.model->parameters()) {
      at::Tensor(p.tensor).requires_grad_(true);
      at::Tensor(p.tensor).mutable_grad() = at::Tensor();
    }
    case_.model->Forward(case_.batch, {.training = true}).features.sum().backward();
    for (size_t i = 0; i < case_.model->parameters().size(); ++i) {
      const at::Tensor grad = case_.model->parameters()[i].tensor.grad();
      if (run == 0) {
        first.push_back(grad);
      } else {
        EXPECT_TRUE(grad.equal(first[i])) << case_.model->parameters()[i].name;
      }
    }
  }
}

// A text's result does not depend on its neighbours in the batch.
TEST_F(BertTraining, TextsOfABatchAreIndependent) {
  const std::vector<TokenizedText> texts = {{.ids = {1, 5, 9, 2}}, {.ids = {1, 2}}, {.ids = {1, 7, 7, 7, 7, 2}}, {.ids = {1, 8, 3, 2}}};
  at::NoGradGuard no_grad;
  const Batch together = PackTexts(texts);
  const at::Tensor all = case_.model->Forward(together, {}).features;
  for (size_t i = 0; i < texts.size(); ++i) {
    const at::Tensor alone = case_.model->Forward(PackTexts({texts[together.example_indices[i]]}), {}).features;
    EXPECT_LT(RelativeDifference(all[i], alone[0]), 1e-5) << i;
  }
}

TEST_F(BertTraining, APrefixOfAllGroupsIsTheFeatures) {
  ASSERT_EQ(case_.model->cut_points(), std::vector<int>{4});
  Batch batch;
  batch.prefix_output = case_.model->Prefix(case_.batch, 4);
  batch.prefix_groups = 4;
  EXPECT_TRUE(batch.prefix_output.equal(Features(1, false)));
  EXPECT_TRUE(case_.model->Forward(batch, {.training = true}).features.equal(batch.prefix_output));
  EXPECT_THROW(case_.model->Prefix(case_.batch, 3), std::logic_error);
  batch.prefix_groups = 3;
  EXPECT_THROW(case_.model->Forward(batch, {}), std::logic_error);
}

TEST_F(BertTraining, RefusesTextsBeyondThePositions) {
  try {
    case_.model->Forward(PackTexts({TokenizedText{.ids = std::vector<int32_t>(25, 3)}}), {});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("set max_length to at most 24"));
  }
}

}  // namespace
}  // namespace attune::training
