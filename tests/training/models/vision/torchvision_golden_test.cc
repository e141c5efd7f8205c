// The convolutional architectures against torchvision: features, logits, loss, every gradient and BatchNorm's buffers, in evaluation and in training mode; and what follows
// from them: prefixes and frozen groups. CTest makes some cases first; with ATTUNE_ALL_VARIANTS=1 every architecture's case is made, compared and removed, one at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include "server/base/files.h"
#include "tests/training/models/golden_tensors.h"
#include "tests/training/models/vision/torchvision_case.h"

namespace attune::training {
namespace {

// Relative to the largest value of each tensor.
constexpr double kExact = 1e-6;      // fp64; the files hold fp32
constexpr double kTolerance = 1e-4;  // fp32, where one number is compared
constexpr ForwardMode kEvaluation{};
constexpr ForwardMode kTraining{.training = true};

// One or two of a family, and what is special in it. CMakeLists.txt has the same list.
const char* const kUsual[] = {"resnet18", "resnet_narrow", "vgg11", "vgg_narrow", "inception_v3", "inception_v3_small", "mobilenet_v2_narrow", "efficientnet_b0", "efficientnet_b5_narrow"};

bool AllVariants() { return Environment("ATTUNE_ALL_VARIANTS", "") == "1"; }

std::vector<std::string> Cases() {
  std::vector<std::string> cases(std::begin(kUsual), std::end(kUsual));
  if (!AllVariants()) return cases;
  for (const ModelFactory* factory : ModelRegistry::Get().All()) {
    const bool transformer = factory->exported_class("image-classification") != "";
    if (!transformer && std::find(cases.begin(), cases.end(), factory->architecture) == cases.end()) cases.push_back(factory->architecture);
  }
  return cases;
}

std::string Directory(const std::string& name) { return Environment("ATTUNE_GOLDEN_DIR", "build/full/golden") + "/torchvision/" + name; }

void TrainAll(const TorchvisionCase& c) {
  for (const Parameter& parameter : AllParameters(c)) {
    at::Tensor(parameter.tensor).requires_grad_(true);
    at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
  }
}

class Torchvision : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    directory_ = Directory(GetParam());
    if (!FileExists(directory_ + "/golden.safetensors")) {
      if (!AllVariants()) GTEST_SKIP() << "no " << directory_ << ": run `make setup`, then ctest, which makes it";
      made_ = true;
      const std::string python = Environment("ATTUNE_DEPS_DIR", ".deps") + "/testenv/bin/python";
      const std::string out = std::filesystem::path(directory_).parent_path();
      ASSERT_EQ(std::system((python + " " + SourcePath("tests/golden/make_vision_goldens.py") + " " + GetParam() + " --out " + out).c_str()), 0);
    }
  }
  void TearDown() override {
    if (made_) std::filesystem::remove_all(directory_);
  }

  void CheckReport(const TorchvisionCase& c);
  void CheckLayout(const TorchvisionCase& c);
  void CheckEvaluation(const TorchvisionCase& c);
  void CheckTraining(const TorchvisionCase& c);
  void CheckPooling();
  void CheckSinglePrecision(const TorchvisionCase& c);
  void CheckCutPoints(const TorchvisionCase& c);

  std::string directory_;
  bool made_ = false;
};

// Everything that the model has was in the file, and nothing but the heads was left over.
void Torchvision::CheckReport(const TorchvisionCase& c) {
  EXPECT_THAT(c.report.newly_initialised, ::testing::IsEmpty());
  EXPECT_EQ(c.report.loaded.size(), c.model->parameters().size() + c.model->buffers().size());
  std::vector<std::string> heads;
  for (const Parameter& parameter : c.head) heads.push_back(parameter.name);
  EXPECT_THAT(c.report.ignored, ::testing::UnorderedElementsAreArray(heads));
}

// The layout of a config.json that says model_type alone is that of torchvision's builder, in its order.
void Torchvision::CheckLayout(const TorchvisionCase& c) {
  const architectures::Architecture& architecture = c.factory->description_of();
  const auto layout = architecture.describe(nlohmann::json::object());
  ASSERT_TRUE(layout.ok()) << layout.status();
  std::vector<std::pair<std::string, std::vector<int64_t>>> parameters, buffers, expected_parameters, expected_buffers;
  for (const auto& parameter : layout->parameters) parameters.emplace_back(parameter.name, parameter.shape);
  for (const auto& buffer : layout->buffers) buffers.emplace_back(buffer.name, buffer.shape);
  const nlohmann::json reference = nlohmann::json::parse(*ReadFile(directory_ + "/layout.json"));
  for (const nlohmann::json& tensor : reference) {
    const std::string name = tensor[0];
    const bool head = name.starts_with(architecture.head_name + ".") || (!architecture.auxiliary_head_name.empty() && name.starts_with(architecture.auxiliary_head_name + "."));
    const bool buffer = name.ends_with("running_mean") || name.ends_with("running_var") || name.ends_with("num_batches_tracked");
    if (!head) (buffer ? expected_buffers : expected_parameters).emplace_back(name, tensor[1]);
  }
  EXPECT_EQ(parameters, expected_parameters);
  EXPECT_EQ(buffers, expected_buffers);
}

void Torchvision::CheckEvaluation(const TorchvisionCase& c) {
  TrainAll(c);
  const ModelOutput output = c.model->Forward(c.batch, kEvaluation);
  EXPECT_FALSE(output.auxiliary.defined());
  EXPECT_EQ(output.features.size(1), c.model->feature_size());
  EXPECT_LT(RelativeDifference(output.features, TensorOf(*c.golden, "features")), kExact);
  EXPECT_LT(RelativeDifference(Logits(c, output), TensorOf(*c.golden, "logits")), kExact);
  const at::Tensor loss = Loss(c, output);
  EXPECT_LT(RelativeDifference(loss.reshape({1}), TensorOf(*c.golden, "eval.loss")), kExact);
  loss.backward();
  const GradientDifference gradients = CompareGradients(c, "eval.");
  EXPECT_LT(gradients.worst, kExact) << gradients.name;
  std::cout << "evaluation: features differ by " << RelativeDifference(output.features, TensorOf(*c.golden, "features")) << ", gradients at most by " << gradients.worst << " ("
            << gradients.name << ")\n";
}

void Torchvision::CheckTraining(const TorchvisionCase& c) {
  TrainAll(c);
  const ModelOutput output = c.model->Forward(c.batch, kTraining);
  EXPECT_EQ(output.auxiliary.defined(), c.model->auxiliary_size() > 0);
  EXPECT_LT(RelativeDifference(Logits(c, output), TensorOf(*c.golden, "train.logits")), kExact);
  const at::Tensor loss = Loss(c, output);
  EXPECT_LT(RelativeDifference(loss.reshape({1}), TensorOf(*c.golden, "train.loss")), kExact);
  loss.backward();
  const GradientDifference gradients = CompareGradients(c, "train.");
  EXPECT_EQ(gradients.compared, AllParameters(c).size());
  EXPECT_LT(gradients.worst, kExact) << gradients.name;
  for (const Buffer& buffer : c.model->buffers()) {
    const at::Tensor expected = TensorOf(*c.golden, "train.buffer." + buffer.name);
    if (buffer.tensor.scalar_type() == at::kLong) {
      EXPECT_TRUE(buffer.tensor.equal(expected)) << buffer.name;
    } else {
      EXPECT_LT(RelativeDifference(buffer.tensor, expected), kExact) << buffer.name;
    }
  }
  std::cout << "training: logits differ by " << RelativeDifference(Logits(c, output), TensorOf(*c.golden, "train.logits")) << ", gradients at most by " << gradients.worst << " ("
            << gradients.name << ")\n";
}

// Mean and maximum over the positions of the last map, as attune_pooling says; VGG has no classifier then.
void Torchvision::CheckPooling() {
  for (const char* pooling : {"mean", "max"}) {
    const TorchvisionCase c = LoadTorchvisionCase(directory_, at::kDouble, {{"attune_pooling", pooling}});
    at::NoGradGuard no_grad;
    const at::Tensor features = c.model->Forward(c.batch, kEvaluation).features;
    EXPECT_EQ(features.size(1), c.model->feature_size());
    EXPECT_LT(RelativeDifference(features, TensorOf(*c.golden, std::string("pooled.") + pooling)), kExact) << pooling;
    EXPECT_THAT(c.model->groups(), ::testing::Not(::testing::Contains("classifier")));
    EXPECT_THAT(c.report.newly_initialised, ::testing::IsEmpty());
  }
}

// As jobs run it: no further from the fp64 values than torchvision in fp32 itself, but for what another order of sums does. How far that is depends on the network: a ReLU may
// fall on the other side of its kink, and norms of few values amplify.
void Torchvision::CheckSinglePrecision(const TorchvisionCase& c) {
  for (const bool training : {false, true}) {
    TrainAll(c);
    const std::string prefix = training ? "train." : "eval.";
    const at::Tensor reference = TensorOf(*c.golden, prefix + "single");
    const ModelOutput output = c.model->Forward(c.batch, {.training = training});
    const double logits = RelativeDifference(Logits(c, output), TensorOf(*c.golden, training ? "train.logits" : "logits"));
    EXPECT_LT(logits, 4 * reference[0].item<double>() + 1e-5) << prefix;
    Loss(c, output).backward();
    const double gradients = CompareGradients(c, prefix).together;
    EXPECT_LT(gradients, 4 * reference[1].item<double>() + 1e-3) << prefix;
    std::cout << "fp32 " << prefix << " logits differ by " << logits << " (torchvision " << reference[0].item<double>() << "), gradients by " << gradients << " (torchvision "
              << reference[1].item<double>() << ")\n";
  }
}

void Torchvision::CheckCutPoints(const TorchvisionCase& c) {
  at::NoGradGuard no_grad;
  const at::Tensor features = c.model->Forward(c.batch, kEvaluation).features;
  const std::vector<int> cuts = c.model->cut_points();
  ASSERT_EQ(cuts.size(), c.model->groups().size());
  for (const int cut : cuts) {
    Batch batch;
    batch.rows = c.batch.rows;
    batch.prefix_output = c.model->Prefix(c.batch, cut).contiguous();  // as a cache keeps it
    batch.prefix_groups = cut;
    EXPECT_EQ(batch.prefix_output.size(0), batch.rows);
    EXPECT_LT(RelativeDifference(c.model->Forward(batch, kEvaluation).features, features), 1e-6) << cut;
  }
}

// One test, so that a case is made once.
TEST_P(Torchvision, ComputesTheSame) {
  {
    const TorchvisionCase c = LoadTorchvisionCase(directory_);
    CheckReport(c);
    CheckLayout(c);
    CheckEvaluation(c);
    CheckTraining(c);
  }
  CheckPooling();
  const TorchvisionCase c = LoadTorchvisionCase(directory_, at::kFloat);
  CheckCutPoints(c);
  CheckSinglePrecision(c);
}

INSTANTIATE_TEST_SUITE_P(Cases, Torchvision, ::testing::ValuesIn(Cases()), [](const auto& info) { return info.param; });

class TorchvisionFrozen : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"resnet_narrow", "mobilenet_v2_narrow", "inception_v3"}) {
      if (!FileExists(Directory(name) + "/golden.safetensors")) GTEST_SKIP() << "no " << Directory(name) << ": run `make setup`, then ctest, which makes it";
    }
  }

  static std::vector<at::Tensor> CopyOfBuffers(const Model& model) {
    std::vector<at::Tensor> copies;
    for (const Buffer& buffer : model.buffers()) copies.push_back(buffer.tensor.clone());
    return copies;
  }
};

// With everything below some group frozen and BatchNorm's statistics left alone, what is trained gets the gradients of evaluation mode, what is frozen none.
TEST_F(TorchvisionFrozen, GradientsAboveAreTheSame) {
  for (const char* name : {"resnet_narrow", "mobilenet_v2_narrow"}) {
    const TorchvisionCase c = LoadTorchvisionCase(Directory(name));
    const std::vector<at::Tensor> before = CopyOfBuffers(*c.model);
    const int groups = static_cast<int>(c.model->groups().size());
    for (int lowest = 0; lowest <= groups; ++lowest) {
      TrainAll(c);
      size_t trained = 0;
      for (const Parameter& parameter : AllParameters(c)) {
        at::Tensor(parameter.tensor).requires_grad_(parameter.group >= lowest);
        trained += parameter.group >= lowest;
      }
      const ModelOutput output = c.model->Forward(c.batch, {.training = true, .train_batch_norm = false});
      EXPECT_TRUE(at::GradMode::is_enabled());
      EXPECT_EQ(output.features.requires_grad(), lowest < groups);
      Loss(c, output).backward();
      const GradientDifference gradients = CompareGradients(c, "eval.");
      EXPECT_EQ(gradients.compared, trained) << name << " " << lowest;
      EXPECT_LT(gradients.worst, kExact) << name << " " << lowest << " " << gradients.name;
    }
    for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(before[i].equal(c.model->buffers()[i].tensor)) << c.model->buffers()[i].name;
  }
}

// Only a BatchNorm whose weight learns uses and moves its statistics.
TEST_F(TorchvisionFrozen, BatchNormOfFrozenGroupsKeepsItsStatistics) {
  const TorchvisionCase c = LoadTorchvisionCase(Directory("resnet_narrow"));
  const std::vector<at::Tensor> before = CopyOfBuffers(*c.model);
  for (const Parameter& parameter : c.model->parameters()) at::Tensor(parameter.tensor).requires_grad_(parameter.group >= 3);
  c.model->Forward(c.batch, kTraining);
  for (size_t i = 0; i < before.size(); ++i) {
    const Buffer& buffer = c.model->buffers()[i];
    EXPECT_EQ(before[i].equal(buffer.tensor), buffer.group < 3) << buffer.name;
  }
}

TEST_F(TorchvisionFrozen, TheAuxiliaryClassifierRunsWhereItOrSomethingBelowLearns) {
  const TorchvisionCase c = LoadTorchvisionCase(Directory("inception_v3"), at::kFloat);
  ASSERT_EQ(c.model->groups(), (std::vector<std::string>{"stem", "mixed5", "mixed6", "aux", "mixed7"}));
  EXPECT_EQ(c.model->auxiliary_size(), 768);
  for (const int lowest : {2, 3, 4, 5}) {
    for (const Parameter& parameter : c.model->parameters()) at::Tensor(parameter.tensor).requires_grad_(parameter.group >= lowest);
    for (const bool training : {true, false}) {
      const at::Tensor auxiliary = c.model->Forward(c.batch, {.training = training}).auxiliary;
      ASSERT_EQ(auxiliary.defined(), training && lowest <= 3) << lowest;
      if (auxiliary.defined()) {
        EXPECT_EQ(auxiliary.sizes(), at::IntArrayRef({3, 768}));
      }
    }
  }
}

// With aux_logits off the same file loads, and the auxiliary classifier's tensors are left over.
TEST_F(TorchvisionFrozen, InceptionWithoutItsAuxiliaryClassifierIsTheSameInEvaluation) {
  const TorchvisionCase c = LoadTorchvisionCase(Directory("inception_v3"), at::kFloat, {{"aux_logits", false}});
  EXPECT_EQ(c.model->groups(), (std::vector<std::string>{"stem", "mixed5", "mixed6", "mixed7"}));
  EXPECT_EQ(c.model->auxiliary_size(), 0);
  EXPECT_THAT(c.report.ignored, ::testing::Contains("AuxLogits.conv0.conv.weight"));
  for (const Parameter& parameter : c.model->parameters()) at::Tensor(parameter.tensor).requires_grad_(true);
  EXPECT_FALSE(c.model->Forward(c.batch, {.training = true, .train_batch_norm = false}).auxiliary.defined());
  at::NoGradGuard no_grad;
  EXPECT_LT(RelativeDifference(Logits(c, c.model->Forward(c.batch, kEvaluation)), TensorOf(*c.golden, "logits")), kTolerance);
}

}  // namespace
}  // namespace attune::training
