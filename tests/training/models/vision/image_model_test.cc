// What no reference shows of the convolutional architectures: dropouts, images that do not fit, new weights, and checkpoints that lack something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <nlohmann/json.hpp>

#include "server/base/files.h"
#include "server/training/models/layers/vision/conv_norm.h"
#include "server/training/models/model.h"
#include "server/weights/safetensors.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr ForwardMode kTraining{.training = true};

const Json kTinyVgg = {{"features", {4, "M", 6, "M"}}, {"classifier_width", 8}};
const Json kTinyEfficientNet = {{"width_mult", 0.2}, {"depth_mult", 0.8}};

std::unique_ptr<Model> Make(const std::string& name, const Json& config, uint64_t seed = 1) { return ModelRegistry::Get().Find(name)->create(config, seed); }

Batch Images(int64_t rows, int64_t side) {
  at::manual_seed(3);
  Batch batch;
  batch.rows = rows;
  batch.pixels = at::randn({rows, 3, side, side});
  return batch;
}

at::Tensor Features(Model& model, const Batch& batch, uint64_t seed, const ForwardMode& mode) {
  at::NoGradGuard no_grad;
  at::manual_seed(seed);
  return model.Forward(batch, mode).features;
}

template <typename Function>
std::string Refusal(Function function) {
  try {
    function();
    return "accepted";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(ImageModel, DropoutAndStochasticDepthFollowTheSeed) {
  for (const auto& [name, config] : std::map<std::string, Json>{{"vgg11", kTinyVgg}, {"efficientnet_b0", kTinyEfficientNet}}) {
    const auto model = Make(name, config);
    const Batch batch = Images(4, 64);
    EXPECT_TRUE(Features(*model, batch, 1, kTraining).equal(Features(*model, batch, 2, kTraining))) << name << ": nothing learns yet";
    for (const Parameter& parameter : model->parameters()) parameter.tensor.requires_grad_(true);
    EXPECT_TRUE(Features(*model, batch, 1, kTraining).equal(Features(*model, batch, 1, kTraining))) << name;
    EXPECT_FALSE(Features(*model, batch, 1, kTraining).equal(Features(*model, batch, 2, kTraining))) << name;
    EXPECT_TRUE(Features(*model, batch, 1, {}).equal(Features(*model, batch, 2, {}))) << name;
  }
}

TEST(ImageModel, RefusesBatchesThatItCannotTake) {
  const auto model = Make("resnet18", {{"layers", {1, 1, 1, 1}}});
  const auto refusal = [&](const at::Tensor& pixels) {
    Batch batch;
    batch.pixels = pixels;
    return Refusal([&] { model->Forward(batch, {}); });
  };
  EXPECT_THAT(refusal(at::Tensor()), HasSubstr("needs a batch of images"));
  EXPECT_THAT(refusal(at::zeros({3, 64, 64})), HasSubstr("not as [3, 64, 64]"));
  EXPECT_THAT(refusal(at::zeros({1, 1, 64, 64})), HasSubstr("not as [1, 1, 64, 64]"));
  EXPECT_THAT(refusal(at::zeros({0, 3, 64, 64})), HasSubstr("not as [0, 3, 64, 64]"));
  EXPECT_THAT(refusal(at::zeros({1, 3, 64, 31})), HasSubstr("is 31 pixels high or wide, but the model needs at least 32"));
  EXPECT_EQ(refusal(at::zeros({1, 3, 32, 40})), "accepted");
  EXPECT_THAT(Refusal([] { Make("resnet18", {{"layers", {1, 1, 1}}}); }), HasSubstr("layers"));
  EXPECT_THROW(model->Prefix(Images(1, 64), 0), std::logic_error);
  EXPECT_THROW(model->Prefix(Images(1, 64), 6), std::logic_error);
}

TEST(ImageModel, NewWeightsAreSeededAndOfTheReferencesSpread) {
  const auto one = Make("resnet18", Json::object()), same = Make("resnet18", Json::object()), other = Make("resnet18", Json::object(), 2);
  const at::Tensor weight = one->parameters()[0].tensor;  // conv1: [64, 3, 7, 7]
  EXPECT_TRUE(weight.equal(same->parameters()[0].tensor));
  EXPECT_FALSE(weight.equal(other->parameters()[0].tensor));
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(2.0 / (64 * 49)), 1e-3);
  const auto inception = Make("inception_v3", Json::object());
  EXPECT_NEAR(inception->parameters()[0].tensor.std().item<double>(), 0.1, 0.01);
  for (const Parameter& parameter : one->parameters()) EXPECT_EQ(parameter.decay, parameter.tensor.dim() > 1) << parameter.name;
  EXPECT_TRUE(one->parameters()[1].tensor.equal(at::ones({64})));
  EXPECT_TRUE(one->buffers()[1].tensor.equal(at::ones({64})));
  EXPECT_EQ(one->buffers()[2].tensor.item<int64_t>(), 0);
}

TEST(BatchNorm, OfOneValueAChannelUsesItsRunningStatistics) {
  BatchNorm norm{at::ones({2}).requires_grad_(true), at::zeros({2}), at::zeros({2}), at::ones({2}), at::zeros({}, at::kLong), {}};
  const at::Tensor x = at::full({1, 2, 1, 1}, 3.0);
  EXPECT_NEAR(norm(x, kTraining).max().item<double>(), 3, 1e-4);
  EXPECT_EQ(norm.batches_tracked.item<int64_t>(), 0);
  norm(at::randn({2, 2, 1, 1}), kTraining);
  EXPECT_EQ(norm.batches_tracked.item<int64_t>(), 1);
  EXPECT_FALSE(norm.running_variance.isnan().any().item<bool>());
}

TEST(StochasticDepth, DropsWholeRowsAndScalesTheOthers) {
  at::manual_seed(1);
  const at::Tensor x = at::ones({2000, 3, 2, 2});
  const at::Tensor y = StochasticDepth(x, 0.25, kTraining);
  for (const double value : {y.min().item<double>(), y.max().item<double>()}) EXPECT_TRUE(value == 0 || std::abs(value - 4.0 / 3) < 1e-6);
  EXPECT_TRUE(y.flatten(1).amin(1).equal(y.flatten(1).amax(1)));
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.05);
  EXPECT_TRUE(StochasticDepth(x, 0.25, {}).equal(x));
}

class ImageWeights : public ::testing::Test {
 protected:
  void TakeFrom(const Model& model) {
    for (const Parameter& parameter : model.parameters()) tensors_[parameter.name] = parameter.tensor;
    for (const Buffer& buffer : model.buffers()) tensors_[buffer.name] = buffer.tensor;
  }

  std::string Write() {
    std::vector<at::Tensor> kept;
    std::vector<weights::TensorView> views;
    for (const auto& [name, tensor] : tensors_) {
      kept.push_back(tensor.detach().contiguous());
      const auto dtype = tensor.scalar_type() == at::kLong ? weights::DType::kI64 : weights::DType::kF32;
      views.push_back({name, dtype, kept.back().sizes().vec(), {static_cast<const char*>(kept.back().data_ptr()), kept.back().nbytes()}});
    }
    const std::string path = directory_.path() + "/model.safetensors";
    EXPECT_TRUE(weights::WriteSafetensors(Files::Posix(), path, views, {}).ok());
    return path;
  }

  LoadReport Load(const std::string& name, const Json& config) {
    model_ = Make(name, config, 7);
    return LoadWeights(*model_, *ModelRegistry::Get().Find(name), Write());
  }

  TemporaryDirectory directory_;
  std::map<std::string, at::Tensor> tensors_;
  std::unique_ptr<Model> model_;
};

TEST_F(ImageWeights, AVggWithoutItsTopHasItNewlyInitialised) {
  TakeFrom(*Make("vgg11_bn", kTinyVgg));
  std::erase_if(tensors_, [](const auto& entry) { return entry.first.starts_with("classifier."); });
  EXPECT_THAT(Load("vgg11_bn", kTinyVgg).newly_initialised, ElementsAre("classifier.0.weight", "classifier.0.bias", "classifier.3.weight", "classifier.3.bias"));
  tensors_["classifier.3.bias"] = at::zeros({8});
  EXPECT_THAT(Refusal([&] { Load("vgg11_bn", kTinyVgg); }), HasSubstr("3 tensors that a vgg11_bn needs are missing: classifier.0.weight"));
}

TEST_F(ImageWeights, TakesBuffersAndMissesThem) {
  const auto source = Make("vgg11_bn", kTinyVgg);
  at::Tensor(source->buffers()[1].tensor).fill_(0.25);
  at::Tensor(source->buffers()[2].tensor).fill_(41);
  TakeFrom(*source);
  Load("vgg11_bn", kTinyVgg);
  EXPECT_TRUE(model_->buffers()[1].tensor.equal(source->buffers()[1].tensor));
  EXPECT_EQ(model_->buffers()[2].tensor.item<int64_t>(), 41);
  tensors_[source->buffers()[2].name] = at::full({1}, 42, at::kLong);  // as libraries without scalars write it
  Load("vgg11_bn", kTinyVgg);
  EXPECT_EQ(model_->buffers()[2].tensor.item<int64_t>(), 42);
  tensors_.erase(source->buffers()[2].name);
  Load("vgg11_bn", kTinyVgg);
  EXPECT_EQ(model_->buffers()[2].tensor.item<int64_t>(), 0);
  tensors_[source->buffers()[1].name] = at::full({4}, -0.25);
  EXPECT_THAT(Refusal([&] { Load("vgg11_bn", kTinyVgg); }), HasSubstr("features.1.running_var holds a value that is negative"));
  tensors_.erase(source->buffers()[1].name);
  EXPECT_THAT(Refusal([&] { Load("vgg11_bn", kTinyVgg); }), HasSubstr("missing: features.1.running_var"));
}

TEST_F(ImageWeights, ACheckpointOfAnotherArchitectureIsNamed) {
  TakeFrom(*Make("resnet18", Json::object()));
  EXPECT_THAT(Refusal([&] { Load("resnet34", Json::object()); }), HasSubstr("looks like a resnet18"));
  EXPECT_THAT(Refusal([&] { Load("mobilenet_v2", Json::object()); }), HasSubstr("looks like a resnet18"));
}

}  // namespace
}  // namespace attune::training
