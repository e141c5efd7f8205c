// fp32 logits, loss and every parameter's gradient against transformers' BertForSequenceClassification (tests/golden/make_bert_goldens.py).
#include <algorithm>
#include <iostream>
#include <string>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "tests/training/models/golden_case.h"

namespace attune::training {
namespace {

constexpr double kTolerance = 1e-4;  // relative to the largest value of each tensor

std::vector<Parameter> AllParameters(const GoldenCase& c) {
  std::vector<Parameter> all = c.model->parameters();
  for (const Parameter& parameter : c.task->head_parameters()) all.push_back(parameter);
  return all;
}

// Gradients are compared relative to the tensor's own largest, but not below 1e-6 of the largest of all: the gradient of a key's bias is zero in exact
// arithmetic (softmax does not see it), so that both sides hold rounding errors alone.
double GradientFloor(const GoldenCase& c) {
  double largest = 0;
  for (const Parameter& parameter : AllParameters(c)) {
    largest = std::max(largest, TensorOf(*c.golden, "grad." + parameter.name).abs().max().item<double>());
  }
  return largest * 1e-6 / kTolerance;
}

void CompareWithGolden(GoldenCase& c) {
  for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).requires_grad_(true);
  at::set_num_threads(1);  // tests run beside others: threads that wait for each other at every operator would take seconds
  const at::Tensor logits = c.task->Logits(c.model->Forward(c.batch, ForwardMode()).features, /*training=*/false);
  const at::Tensor loss = c.task->Loss(logits, c.batch.targets);
  loss.backward();
  const at::Tensor expected = TensorOf(*c.golden, "logits").index_select(0, at::tensor(c.batch.example_indices));
  EXPECT_LT(RelativeDifference(logits, expected), kTolerance);
  EXPECT_LT(RelativeDifference(loss.reshape({1}), TensorOf(*c.golden, "loss")), kTolerance);
  const double floor = GradientFloor(c);
  double worst = 0;
  std::string worst_name;
  for (const Parameter& parameter : AllParameters(c)) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    const double difference = RelativeDifference(parameter.tensor.grad(), TensorOf(*c.golden, "grad." + parameter.name), floor);
    EXPECT_LT(difference, kTolerance) << parameter.name;
    if (difference > worst) worst = difference, worst_name = parameter.name;
  }
  std::cout << "logits differ by " << RelativeDifference(logits, expected) << ", gradients at most by " << worst << " (" << worst_name << ")\n";
}

class TinyGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(TinyGolden, LogitsLossAndGradientsEqualTransformers) {
  GoldenCase c = LoadGoldenCase(SourcePath("tests/golden/bert/" + GetParam()));
  CompareWithGolden(c);
}

INSTANTIATE_TEST_SUITE_P(Cases, TinyGolden,
                         ::testing::Values("tiny", "pairs", "label_smoothing", "gelu_new", "relu", "silu", "multi_label", "regression"),
                         [](const auto& info) { return info.param; });

// tests/golden/make_pooling_goldens.py. Padded rows there, packed tokens here.
TEST(TextPooling, IsOverEachTextsOwnTokens) {
  at::NoGradGuard no_grad;
  const GoldenCase own = LoadGoldenCase(SourcePath("tests/golden/bert/tiny"));
  const auto golden = weights::SafetensorsFile::Open(SourcePath("tests/golden/pooling.safetensors"));
  ASSERT_TRUE(golden.ok()) << golden.status();
  const ModelFactory& factory = *ModelRegistry::Get().Find("bert");
  for (const std::string pooling : {"first_token", "mean", "max"}) {
    nlohmann::json config = own.config;
    config["attune_pooling"] = pooling;
    const auto model = factory.create(config, /*seed=*/1);
    const LoadReport report = LoadWeights(*model, factory, own.weights_path);
    EXPECT_TRUE(report.newly_initialised.empty());
    EXPECT_EQ(model->groups().back(), "layer.1") << "no pooler";
    const at::Tensor expected = TensorOf(**golden, "bert." + pooling).index_select(0, at::tensor(own.batch.example_indices));
    EXPECT_LT(RelativeDifference(model->Forward(own.batch, ForwardMode()).features, expected), kTolerance) << pooling;
  }
}

TEST(MiniLmGolden, LogitsLossAndGradientsEqualTransformers) {
  const std::string directory = Environment("ATTUNE_GOLDEN_DIR", "build/full/golden") + "/minilm";
  const std::string weights = Environment("ATTUNE_DEPS_DIR", ".deps") + "/minilm/model.safetensors";
  if (!FileExists(directory + "/golden.safetensors")) GTEST_SKIP() << "no " << directory << ": run `make setup`, then ctest, which makes it";
  GoldenCase c = LoadGoldenCase(directory, weights);
  CompareWithGolden(c);
}

// The same weights, with everything below some group frozen: what is trained gets the same gradients, what is frozen none.
TEST(FrozenPrefix, GradientsAboveAreTheSame) {
  for (int lowest = 0; lowest <= 4; ++lowest) {
    GoldenCase c = LoadGoldenCase(SourcePath("tests/golden/bert/tiny"));
    for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).requires_grad_(parameter.group >= lowest);
    const at::Tensor features = c.model->Forward(c.batch, ForwardMode()).features;
    EXPECT_EQ(features.requires_grad(), lowest <= 3) << lowest;  // groups: embeddings, two layers, pooler; 4 is the head
    c.task->Loss(c.task->Logits(features, false), c.batch.targets).backward();
    EXPECT_TRUE(at::GradMode::is_enabled());
    for (const Parameter& parameter : AllParameters(c)) {
      ASSERT_EQ(parameter.tensor.grad().defined(), parameter.group >= lowest) << parameter.name;
      if (parameter.group < lowest) continue;
      EXPECT_LT(RelativeDifference(parameter.tensor.grad(), TensorOf(*c.golden, "grad." + parameter.name), GradientFloor(c)), kTolerance) << parameter.name;
    }
  }
}

TEST(SomeParametersFrozen, OnlyTheOthersGetGradients) {
  GoldenCase c = LoadGoldenCase(SourcePath("tests/golden/bert/tiny"));
  const auto trains = [](const Parameter& p) { return p.name.ends_with("key.weight") || p.name.ends_with("value.bias") || p.name.ends_with("layer.0.output.dense.bias"); };
  for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).requires_grad_(trains(parameter));
  c.task->Loss(c.task->Logits(c.model->Forward(c.batch, ForwardMode()).features, false), c.batch.targets).backward();
  for (const Parameter& parameter : AllParameters(c)) {
    ASSERT_EQ(parameter.tensor.grad().defined(), trains(parameter)) << parameter.name;
    if (!trains(parameter)) continue;
    EXPECT_LT(RelativeDifference(parameter.tensor.grad(), TensorOf(*c.golden, "grad." + parameter.name), GradientFloor(c)), kTolerance) << parameter.name;
  }
}

}  // namespace
}  // namespace attune::training
