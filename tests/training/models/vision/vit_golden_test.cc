// ViT and DINOv2: fp32 features, logits, loss and every parameter's gradient against transformers (tests/golden/make_vit_goldens.py), and what no reference shows: prefixes,
// dropouts, stochastic depth, and images that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIndexing.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/randn.h>
#include <nlohmann/json.hpp>

#include "server/base/files.h"
#include "server/training/models/model.h"
#include "tests/training/models/golden_tensors.h"

namespace attune::training {
namespace {

constexpr double kTolerance = 1e-4;  // relative to the largest value of each tensor
constexpr ForwardMode kEvaluation{};
constexpr ForwardMode kTraining{.training = true};

struct VitCase {
  nlohmann::json config;
  std::shared_ptr<const weights::SafetensorsFile> golden;
  std::unique_ptr<Model> model;
  at::Tensor head_weight, head_bias;
  Batch batch;
};

std::shared_ptr<const weights::SafetensorsFile> Open(const std::string& path) {
  auto file = weights::SafetensorsFile::Open(path);
  if (!file.ok()) throw std::runtime_error(std::string(file.status().message()));
  return *file;
}

// `changes` to the config do not reach the weights, which are the case's own.
VitCase LoadCase(const std::string& directory, const nlohmann::json& changes = nlohmann::json::object()) {
  at::set_num_threads(1);  // tests run beside others: threads that wait for each other at every operator would take seconds
  VitCase c;
  const auto text = ReadFile(directory + "/config.json");
  if (!text.ok()) throw std::runtime_error(std::string(text.status().message()));
  c.config = nlohmann::json::parse(*text);
  c.config.update(changes);
  c.golden = Open(directory + "/golden.safetensors");
  const ModelFactory* factory = ModelRegistry::Get().Find(c.config["model_type"]);
  c.model = factory->create(c.config, /*seed=*/1);
  const std::string path = directory + "/model.safetensors";
  const LoadReport report = LoadWeights(*c.model, *factory, path);
  EXPECT_THAT(report.newly_initialised, ::testing::IsEmpty());
  c.head_weight = TensorOf(*Open(path), "classifier.weight");
  c.head_bias = TensorOf(*Open(path), "classifier.bias");
  c.batch.pixels = TensorOf(*c.golden, "pixels");
  c.batch.rows = c.batch.pixels.size(0);
  c.batch.targets = TensorOf(*c.golden, "labels");
  return c;
}

std::string SmallCase(const std::string& name) { return SourcePath("tests/golden/vision/" + name); }

std::vector<Parameter> AllParameters(const VitCase& c) {
  std::vector<Parameter> all = c.model->parameters();
  all.push_back({"classifier.weight", c.head_weight});
  all.push_back({"classifier.bias", c.head_bias});
  return all;
}

at::Tensor LossOf(const VitCase& c, const at::Tensor& logits) {
  const std::string type = c.config.value("problem_type", "single_label_classification");
  if (type == "multi_label_classification") return at::binary_cross_entropy_with_logits(logits, c.batch.targets);
  if (type == "regression") return at::mse_loss(logits.squeeze(1), c.batch.targets);
  return at::cross_entropy_loss(logits, c.batch.targets);
}

at::Tensor FeaturesOf(const VitCase& c, const ForwardMode& mode) { return c.model->Forward(c.batch, mode).features; }

// The gradient of a key's bias is zero in exact arithmetic (softmax does not see it), so that both sides hold rounding errors alone.
double GradientFloor(const VitCase& c) {
  double largest = 0;
  for (const Parameter& parameter : AllParameters(c)) {
    largest = std::max(largest, TensorOf(*c.golden, "grad." + parameter.name).abs().max().item<double>());
  }
  return largest * 1e-6 / kTolerance;
}

void CompareWithGolden(const std::string& directory) {
  VitCase c = LoadCase(directory);
  for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).requires_grad_(true);
  {
    at::NoGradGuard no_grad;
    const at::Tensor features = FeaturesOf(c, kEvaluation);
    EXPECT_EQ(features.size(1), c.model->feature_size());
    EXPECT_LT(RelativeDifference(features, TensorOf(*c.golden, "features")), kTolerance);
    const at::Tensor logits = at::linear(features, c.head_weight, c.head_bias);
    EXPECT_LT(RelativeDifference(logits, TensorOf(*c.golden, "logits")), kTolerance);
    EXPECT_LT(RelativeDifference(LossOf(c, logits).reshape({1}), TensorOf(*c.golden, "loss")), kTolerance);
  }
  const at::Tensor logits = at::linear(FeaturesOf(c, kTraining), c.head_weight, c.head_bias);
  EXPECT_LT(RelativeDifference(logits, TensorOf(*c.golden, "train_logits")), kTolerance);
  LossOf(c, logits).backward();
  const double floor = GradientFloor(c);
  double worst = 0;
  for (const Parameter& parameter : AllParameters(c)) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    const double difference = RelativeDifference(parameter.tensor.grad(), TensorOf(*c.golden, "grad." + parameter.name), floor);
    EXPECT_LT(difference, kTolerance) << parameter.name;
    worst = std::max(worst, difference);
  }
  std::cout << "gradients differ at most by " << worst << "\n";
}

class VitGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(VitGolden, FeaturesLogitsLossAndGradientsEqualTransformers) { CompareWithGolden(SmallCase(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Cases, VitGolden,
                         ::testing::Values("vit", "vit_larger_images", "vit_no_qkv_bias", "vit_regression", "dinov2", "dinov2_smaller_images", "dinov2_swiglu"),
                         [](const auto& info) { return info.param; });

class TrueSizes : public ::testing::TestWithParam<std::string> {};

TEST_P(TrueSizes, FeaturesLogitsLossAndGradientsEqualTransformers) {
  const std::string directory = Environment("ATTUNE_GOLDEN_DIR", "build/full/golden") + "/vit/" + GetParam();
  if (!FileExists(directory + "/golden.safetensors")) GTEST_SKIP() << "no " << directory << ": run `make setup`, then ctest, which makes it";
  CompareWithGolden(directory);
}

INSTANTIATE_TEST_SUITE_P(Cases, TrueSizes, ::testing::Values("vit_base_16", "dinov2_small_14"), [](const auto& info) { return info.param; });

TEST(VitCheckpoint, WhatPretrainingNeedsIsPassedOver) {
  const nlohmann::json config = nlohmann::json::parse(*ReadFile(SmallCase("dinov2") + "/config.json"));
  const ModelFactory* factory = ModelRegistry::Get().Find("dinov2");
  const auto model = factory->create(config, 1);
  const LoadReport report = LoadWeights(*model, *factory, SmallCase("dinov2") + "/model.safetensors");
  EXPECT_EQ(report.loaded.size(), model->parameters().size());
  EXPECT_TRUE(factory->description_of().is_buffer("embeddings.mask_token"));
  EXPECT_TRUE(ModelRegistry::Get().Find("vit")->description_of().is_buffer("pooler.dense.weight"));
}

// tests/golden/make_pooling_goldens.py.
TEST(VitPooling, IsOfTheNormalisedTokens) {
  at::NoGradGuard no_grad;
  const auto golden = Open(SourcePath("tests/golden/pooling.safetensors"));
  for (const std::string name : {"vit", "dinov2"}) {
    for (const std::string pooling : {"first_token", "mean", "max"}) {
      const VitCase c = LoadCase(SmallCase(name), {{"attune_pooling", pooling}});
      const at::Tensor features = FeaturesOf(c, kEvaluation);
      EXPECT_EQ(features.size(1), c.model->feature_size());
      EXPECT_LT(RelativeDifference(features, TensorOf(*golden, name + "." + pooling)), kTolerance) << name << " " << pooling;
    }
  }
}

// From any cut point on the features are the same, and so are the gradients above it.
TEST(VitPrefix, GoesOnFromEveryCutPoint) {
  for (const char* name : {"vit", "dinov2"}) {
    VitCase whole = LoadCase(SmallCase(name));
    const at::Tensor expected = FeaturesOf(whole, kEvaluation);
    const int groups = static_cast<int>(whole.model->groups().size());
    EXPECT_EQ(static_cast<int>(whole.model->cut_points().size()), groups) << name;
    for (const int cut : whole.model->cut_points()) {
      VitCase c = LoadCase(SmallCase(name));
      c.batch.prefix_output = c.model->Prefix(c.batch, cut);
      c.batch.prefix_groups = cut;
      EXPECT_FALSE(c.batch.prefix_output.requires_grad());
      c.batch.pixels = at::Tensor();
      for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).requires_grad_(parameter.group >= cut);
      c.head_weight.requires_grad_(true);
      const at::Tensor features = FeaturesOf(c, kEvaluation);
      EXPECT_LT(RelativeDifference(features, expected), 1e-5) << name << " " << cut;
      LossOf(c, at::linear(features, c.head_weight, c.head_bias)).backward();
      for (const Parameter& parameter : c.model->parameters()) {
        ASSERT_EQ(parameter.tensor.grad().defined(), parameter.group >= cut) << parameter.name;
        if (parameter.group < cut) continue;
        EXPECT_LT(RelativeDifference(parameter.tensor.grad(), TensorOf(*c.golden, "grad." + parameter.name), GradientFloor(c)), kTolerance) << parameter.name;
      }
    }
  }
}

TEST(VitDropout, IsDrawnInTrainingAloneAndFollowsTheSeed) {
  at::NoGradGuard no_grad;
  for (const char* name : {"vit", "dinov2"}) {
    for (const char* key : {"hidden_dropout_prob", "attention_probs_dropout_prob"}) {
      const VitCase c = LoadCase(SmallCase(name), {{key, 0.5}});
      for (const Parameter& parameter : c.model->parameters()) parameter.tensor.requires_grad_(true);
      EXPECT_LT(RelativeDifference(FeaturesOf(c, kEvaluation), TensorOf(*c.golden, "features")), kTolerance) << name << " " << key;
      at::manual_seed(5);
      const at::Tensor first = FeaturesOf(c, kTraining);
      EXPECT_GT(RelativeDifference(first, TensorOf(*c.golden, "features")), 0.01) << name << " " << key;
      EXPECT_GT(RelativeDifference(FeaturesOf(c, kTraining), first), 0.01) << name << " " << key;
      at::manual_seed(5);
      EXPECT_EQ(RelativeDifference(FeaturesOf(c, kTraining), first), 0) << name << " " << key;
    }
  }
}

at::Tensor ScaleOf(const VitCase& c, const std::string& name) {
  for (const Parameter& parameter : c.model->parameters()) {
    if (parameter.name == name) return parameter.tensor;
  }
  throw std::runtime_error("no parameter " + name);
}

// A branch is left out for an example, or counts 1 / (1 - rate) times: shown by the scale of the one branch that is left on.
TEST(Dinov2StochasticDepth, LeavesBranchesOutForWholeExamples) {
  at::NoGradGuard no_grad;
  VitCase c = LoadCase(SmallCase("dinov2"), {{"drop_path_rate", 0.5}});
  c.batch.pixels = at::randn({24, 3, 48, 48});
  for (const Parameter& parameter : c.model->parameters()) {
    if (parameter.name.find("layer_scale") != std::string::npos) at::Tensor(parameter.tensor).zero_();
    parameter.tensor.requires_grad_(true);  // layers below everything that learns keep all branches
  }
  at::Tensor scale = ScaleOf(c, "dinov2.encoder.layer.1.layer_scale1.lambda1");
  const at::Tensor without = FeaturesOf(c, kEvaluation);
  const at::Tensor with = (scale.fill_(2), FeaturesOf(c, kEvaluation));
  scale.fill_(1);
  at::manual_seed(3);
  const at::Tensor drawn = FeaturesOf(c, kTraining);
  int left_out = 0, kept = 0;
  for (int64_t row = 0; row < drawn.size(0); ++row) {
    left_out += RelativeDifference(drawn[row], without[row]) < 1e-5 ? 1 : 0;
    kept += RelativeDifference(drawn[row], with[row]) < 1e-5 ? 1 : 0;
  }
  EXPECT_EQ(left_out + kept, 24);
  EXPECT_GT(left_out, 4);
  EXPECT_GT(kept, 4);
}

TEST(VitImages, MustDivideIntoPatches) {
  for (const char* name : {"vit", "dinov2"}) {
    VitCase c = LoadCase(SmallCase(name));
    c.batch.pixels = at::randn({1, 3, 44, 44});
    try {
      FeaturesOf(c, kEvaluation);
      FAIL() << name << " took an image of 44 pixels in patches of 8";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("set image_size to a multiple of 8")) << name;
    }
  }
}

TEST(VitSeeds, GiveTheSameModelAgain) {
  const nlohmann::json config = nlohmann::json::parse(*ReadFile(SmallCase("dinov2") + "/config.json"));
  const ModelFactory* factory = ModelRegistry::Get().Find("dinov2");
  const auto first = factory->create(config, 7), again = factory->create(config, 7), other = factory->create(config, 8);
  const auto& parameters = first->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_EQ(RelativeDifference(again->parameters()[i].tensor, parameters[i].tensor), 0) << parameters[i].name;
    if (parameters[i].name.find("lambda1") != std::string::npos) {
      EXPECT_EQ(parameters[i].tensor.min().item<float>(), 0.7f);  // the case's layerscale_value
      EXPECT_FALSE(parameters[i].decay);
    }
  }
  EXPECT_GT(RelativeDifference(other->parameters()[0].tensor, parameters[0].tensor), 0.1);
}

}  // namespace
}  // namespace attune::training
