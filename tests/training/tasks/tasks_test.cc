#include <cmath>
#include <map>
#include <stdexcept>

#include <ATen/ops/allclose.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "server/training/tasks/task.h"

namespace attune::training {
namespace {

TaskOptions Options(std::vector<std::string> labels) {
  TaskOptions options;
  options.labels = std::move(labels);
  options.feature_size = 8;
  options.head_name = "classifier";
  options.head_group = 4;
  options.seed = 3;
  return options;
}

std::unique_ptr<Task> Create(const std::string& name, const TaskOptions& options) { return TaskRegistry::Get().Find(name)->create(options); }

examples::Example WithLabels(std::vector<int32_t> labels, double value = 0) {
  examples::Example example;
  example.labels = std::move(labels);
  example.value = value;
  return example;
}

TEST(TaskRegistry, KnowsEachTaskOfTextsAndOfImages) {
  for (const char* name : {"text-classification", "text-multi-label", "text-regression", "image-classification", "image-multi-label", "image-regression"}) EXPECT_NE(TaskRegistry::Get().Find(name), nullptr) << name;
  EXPECT_EQ(TaskRegistry::Get().Find("text"), nullptr);
}

TEST(Head, IsSeededAndNamed) {
  const auto one = Create("text-classification", Options({"a", "b", "c"}));
  const auto two = Create("text-classification", Options({"a", "b", "c"}));
  TaskOptions other_seed = Options({"a", "b", "c"});
  other_seed.seed = 4;
  const auto& parameters = one->head_parameters();
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].name, "classifier.weight");
  EXPECT_EQ(parameters[0].tensor.sizes(), (at::IntArrayRef{3, 8}));
  EXPECT_EQ(parameters[0].group, 4);
  EXPECT_TRUE(parameters[0].decay);
  EXPECT_EQ(parameters[1].name, "classifier.bias");
  EXPECT_FALSE(parameters[1].decay);
  EXPECT_TRUE(parameters[0].tensor.equal(two->head_parameters()[0].tensor));
  EXPECT_FALSE(parameters[0].tensor.equal(Create("text-classification", other_seed)->head_parameters()[0].tensor));
  EXPECT_EQ(parameters[1].tensor.abs().max().item<float>(), 0);
  EXPECT_LT(parameters[0].tensor.abs().max().item<float>(), 0.1);  // 5 standard deviations of 0.02
}

TEST(Head, DropsFeaturesInTrainingOnly) {
  TaskOptions options = Options({"a", "b"});
  options.head_dropout = 0.5;
  const auto task = Create("text-classification", options);
  const at::Tensor features = at::ones({4, 8});
  EXPECT_TRUE(task->Logits(features, false).equal(task->Logits(features, false)));
  EXPECT_FALSE(task->Logits(features, true).equal(task->Logits(features, false)));
}

TEST(Head, IsInitialisedAsTheModelsLibraryDoes) {
  TaskOptions options = Options({"a", "b"});
  options.init = HeadInit::kUniform;
  const auto task = Create("image-classification", options);
  const at::Tensor weight = task->head_parameters()[0].tensor;
  const at::Tensor bias = task->head_parameters()[1].tensor;
  const float bound = 1 / std::sqrt(8.0f);
  EXPECT_LE(weight.abs().max().item<float>(), bound);
  EXPECT_GT(weight.abs().max().item<float>(), bound / 2);
  EXPECT_LE(bias.abs().max().item<float>(), bound);
  EXPECT_NE(bias.abs().max().item<float>(), 0);
}

TEST(Head, HiddenLayersStandWhereASequentialHasThem) {
  TaskOptions options = Options({"a", "b"});
  options.hidden_sizes = {6, 4};
  options.activation = HeadActivation::kTanh;
  const auto task = Create("image-classification", options);
  std::map<std::string, at::Tensor> by_name;
  for (const Parameter& parameter : task->head_parameters()) by_name[parameter.name] = parameter.tensor;
  ASSERT_EQ(by_name.size(), 6u);
  EXPECT_EQ(by_name.at("classifier.1.weight").sizes(), (at::IntArrayRef{6, 8}));
  EXPECT_EQ(by_name.at("classifier.4.weight").sizes(), (at::IntArrayRef{4, 6}));
  EXPECT_EQ(by_name.at("classifier.7.weight").sizes(), (at::IntArrayRef{2, 4}));
  const at::Tensor features = at::ones({3, 8}) * 0.5;
  const auto linear = [&](const at::Tensor& x, const std::string& name) { return at::linear(x, by_name.at(name + ".weight"), by_name.at(name + ".bias")); };
  const at::Tensor expected = linear(at::tanh(linear(at::tanh(linear(features, "classifier.1")), "classifier.4")), "classifier.7");
  EXPECT_TRUE(task->Logits(features, false).allclose(expected));
}

TEST(Head, SizesThatMakeNoHeadAreNamed) {
  TaskOptions options = Options({"a", "b"});
  options.hidden_sizes = {4, 0};
  EXPECT_THROW(Create("image-classification", options), std::invalid_argument);
  options.hidden_sizes = {};
  options.feature_size = 0;
  EXPECT_THROW(Create("image-classification", options), std::invalid_argument);
}

TEST(TrainingLoss, AddsFourTenthsOfTheAuxiliaryClassifiers) {
  TaskOptions options = Options({"a", "b"});
  options.auxiliary_size = 5;
  options.auxiliary_head_name = "AuxLogits.fc";
  const auto task = Create("image-classification", options);
  EXPECT_EQ(task->head_parameters()[2].name, "AuxLogits.fc.weight");
  Batch batch;
  batch.targets = at::tensor({0, 1}, at::kLong);
  const ModelOutput plain = {at::ones({2, 8}), {}};
  const ModelOutput both = {at::ones({2, 8}), at::ones({2, 5})};
  const double main = task->Loss(task->Logits(plain.features, true), batch.targets).item<double>();
  const double auxiliary = task->Loss(task->AuxiliaryLogits(both.auxiliary), batch.targets).item<double>();
  EXPECT_NEAR(task->TrainingLoss(plain, batch).item<double>(), main, 1e-6);
  EXPECT_NEAR(task->TrainingLoss(both, batch).item<double>(), main + 0.4 * auxiliary, 1e-6);
}

TEST(TrainingLoss, OfMixedExamplesIsThatOfSoftTargets) {
  const auto task = Create("image-classification", Options({"a", "b"}));
  Batch batch;
  batch.targets = at::tensor({0, 1}, at::kLong);
  batch.mixed_targets = at::tensor({1, 1}, at::kLong);
  batch.mix = 0.7;
  const ModelOutput output = {at::ones({2, 8}), {}};
  const at::Tensor logp = at::log_softmax(task->Logits(output.features, true), 1);
  const double expected = -(0.7 * logp[0][0] + 0.3 * logp[0][1] + logp[1][1]).item<double>() / 2;
  EXPECT_NEAR(task->TrainingLoss(output, batch).item<double>(), expected, 1e-6);
}

TEST(Classification, LossSmoothsLabelsAsTorchDoes) {
  TaskOptions options = Options({"a", "b", "c"});
  options.label_smoothing = 0.2;
  const auto task = Create("text-classification", options);
  const at::Tensor logits = at::tensor({1.0f, -2.0f, 0.5f, 0.1f, 0.2f, 3.0f}).view({2, 3});
  const at::Tensor logp = at::log_softmax(logits, 1);
  // (1 - e) of the target's and e / C of every class's.
  const at::Tensor expected = -(0.8 * (logp[0][0] + logp[1][1]) + 0.2 / 3 * logp.sum()) / 2;
  EXPECT_NEAR(task->Loss(logits, at::tensor({0, 1}, at::kLong)).item<float>(), expected.item<float>(), 1e-6);
}

// Loss and gradients of torch.nn.CrossEntropyLoss(weight=...) in torch 2.11.
TEST(Classification, WeightsAreTorchs) {
  const struct {
    double smoothing, loss;
    std::vector<double> gradient;
  } cases[] = {{0, 1.3639798164367676,
                {-0.033020925, 0.002504907, 0.030516019, 0.016437108, -0.315167516, 0.298730433, 0.049293902, 0.18087393, -0.230167806, -0.033983245, 0.029932341, 0.004050902}},
               {0.2, 1.4728732109069824,
                {0.004923474, -0.018381365, 0.013457896, 0.010607601, -0.271025836, 0.260418266, 0.039904382, 0.144583747, -0.184488103, 0.003447914, 0.023674034, -0.027121952}}};
  for (const auto& each : cases) {
    TaskOptions options = Options({"a", "b", "c"});
    options.class_weights = {0.5, 2, 3};
    options.label_smoothing = each.smoothing;
    const auto task = Create("text-classification", options);
    const at::Tensor logits = at::tensor({1.0f, -2.0f, 0.5f, 0.1f, 0.2f, 3.0f, -1.0f, 0.3f, 0.7f, 2.0f, 1.5f, -0.5f}).view({4, 3}).detach().requires_grad_();
    const at::Tensor targets = at::tensor({0, 1, 2, 0}, at::kLong);
    Batch batch;
    batch.targets = targets;
    EXPECT_NEAR(task->BatchWeight(batch).item<double>(), 6, 1e-6);
    const at::Tensor loss = task->WeightedLoss(logits, targets) / task->BatchWeight(batch);
    loss.backward();
    EXPECT_NEAR(loss.item<double>(), each.loss, 1e-6);
    for (int64_t i = 0; i < 12; ++i) EXPECT_NEAR(logits.grad().view(-1)[i].item<double>(), each.gradient[i], 1e-7) << i;
    // Evaluations count every row the same.
    TaskOptions plain = Options({"a", "b", "c"});
    plain.label_smoothing = each.smoothing;
    const auto unweighted = Create("text-classification", plain);
    EXPECT_EQ(task->Evaluate(logits.detach(), targets).values.at("loss"), unweighted->Evaluate(logits.detach(), targets).values.at("loss"));
    EXPECT_FALSE(unweighted->BatchWeight(batch).defined());
    EXPECT_TRUE(unweighted->WeightedLoss(logits, targets).equal(unweighted->Loss(logits, targets)));
  }
}

TEST(Classification, ABatchMayWeighNothing) {
  TaskOptions options = Options({"a", "b"});
  options.class_weights = {0, 2};
  const auto task = Create("text-classification", options);
  Batch batch;
  batch.targets = at::tensor({0, 0, 0}, at::kLong);
  EXPECT_EQ(task->WeightedLoss(at::ones({3, 2}), batch.targets).item<double>(), 0);
  EXPECT_EQ(task->BatchWeight(batch).item<double>(), 0);
  options.class_weights = {1, 2, 3};
  EXPECT_THROW(Create("text-classification", options), std::invalid_argument);
}

TEST(Classification, TargetsAndEvaluation) {
  const auto task = Create("text-classification", Options({"neg", "pos"}));
  const examples::Example a = WithLabels({1}), b = WithLabels({0}), two = WithLabels({0, 1}), unknown = WithLabels({2});
  EXPECT_TRUE(task->Targets({&a, &b}).equal(at::tensor({1, 0}, at::kLong)));
  EXPECT_THROW(task->Targets({&two}), std::invalid_argument);
  EXPECT_THROW(task->Targets({&unknown}), std::invalid_argument);
  const at::Tensor logits = at::tensor({0.f, 1.f, 2.f, 0.f, 5.f, 0.f}).view({3, 2});
  const EvaluationResult result = task->Evaluate(logits, at::tensor({1, 0, 1}, at::kLong));
  EXPECT_EQ(result.rows, 3);
  EXPECT_EQ(result.confusion, (std::vector<int64_t>{1, 0, 1, 1}));
  EXPECT_NEAR(result.values.at("accuracy"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(result.values.at("loss"), (std::log1p(std::exp(-1.0)) + std::log1p(std::exp(-2.0)) + std::log1p(std::exp(5.0))) / 3, 1e-6);
  EXPECT_EQ(result.classes[1].label, "pos");
  EXPECT_EQ(result.classes[1].support, 2);
  EXPECT_TRUE(task->Probabilities(logits).sum(1).allclose(at::ones({3})));
  EXPECT_EQ(task->Evaluate(logits.narrow(0, 0, 0), at::tensor({1}, at::kLong).narrow(0, 0, 0)).rows, 0);
}

TEST(MultiLabel, TargetsLossAndEvaluation) {
  const auto task = Create("text-multi-label", Options({"x", "y", "z"}));
  const examples::Example both = WithLabels({0, 2}), none = WithLabels({}), unknown = WithLabels({3});
  const at::Tensor targets = task->Targets({&both, &none});
  EXPECT_TRUE(targets.equal(at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 0.f}).view({2, 3})));
  EXPECT_THROW(task->Targets({&unknown}), std::invalid_argument);
  const at::Tensor logits = at::tensor({2.f, -1.f, 1.f, 1.f, -3.f, -1.f}).view({2, 3});
  const EvaluationResult result = task->Evaluate(logits, targets);
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  EXPECT_NEAR(result.values.at("loss"), (softplus(-2) + softplus(-1) + softplus(-1) + softplus(1) + softplus(-3) + softplus(-1)) / 6, 1e-6);
  EXPECT_EQ(result.values.at("accuracy"), 0.5);
  EXPECT_NEAR(result.values.at("f1_micro"), 0.8, 1e-12);
  EXPECT_TRUE(result.confusion.empty());
  EXPECT_EQ(task->default_metric(), "f1_macro");
}

// torch.nn.BCEWithLogitsLoss(pos_weight=...) in torch 2.11.
TEST(MultiLabel, WeightsAreTorchs) {
  TaskOptions options = Options({"x", "y", "z"});
  options.class_weights = {3, 0.5, 0.25};
  const auto task = Create("text-multi-label", options);
  const at::Tensor logits = at::tensor({2.f, -1.f, 1.f, 1.f, -3.f, -1.f}).view({2, 3});
  const at::Tensor targets = at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 0.f}).view({2, 3});
  EXPECT_NEAR(task->WeightedLoss(logits, targets).item<double>(), 0.407912015914917, 1e-6);
  Batch batch;
  batch.targets = targets;
  EXPECT_FALSE(task->BatchWeight(batch).defined()) << "a mean over rows and classes: batches count by their rows";
  EXPECT_EQ(task->Evaluate(logits, targets).values.at("loss"), Create("text-multi-label", Options({"x", "y", "z"}))->Evaluate(logits, targets).values.at("loss"));
}

TEST(Regression, TargetsLossAndEvaluation) {
  const auto task = Create("text-regression", Options({}));
  const examples::Example a = WithLabels({}, 1.5), b = WithLabels({}, -2), infinite = WithLabels({}, 1e300);
  const at::Tensor targets = task->Targets({&a, &b});
  EXPECT_THROW(task->Targets({&infinite}), std::invalid_argument);
  const at::Tensor logits = at::tensor({1.f, -1.f}).view({2, 1});
  EXPECT_NEAR(task->Loss(logits, targets).item<float>(), 0.625, 1e-6);
  EXPECT_NEAR(task->Evaluate(logits, targets).values.at("mse"), 0.625, 1e-9);
  EXPECT_NEAR(task->Evaluate(logits, targets).values.at("pearson"), 1, 1e-9);
  EXPECT_TRUE(LargerIsBetter("pearson"));
  EXPECT_FALSE(LargerIsBetter("mse"));
}

TEST(Task, LogitsOfIsTheInverseOfProbabilities) {
  const at::Tensor logits = at::tensor({2.0, -1.0, 0.5, 0.0, 3.0, -40.0}, at::kDouble).view({2, 3});
  for (const char* name : {"text-classification", "text-multi-label"}) {
    const auto task = Create(name, Options({"a", "b", "c"}));
    EXPECT_TRUE(task->Probabilities(task->LogitsOf(task->Probabilities(logits))).allclose(task->Probabilities(logits), 1e-9, 1e-11)) << name;
    EXPECT_TRUE(task->LogitsOf(at::tensor({0.0, 1.0, 0.0}, at::kDouble).view({1, 3})).isfinite().all().item<bool>()) << name;
  }
  const auto regression = Create("text-regression", Options({}));
  EXPECT_TRUE(regression->LogitsOf(regression->Probabilities(logits)).equal(logits));
}

}  // namespace
}  // namespace attune::training
