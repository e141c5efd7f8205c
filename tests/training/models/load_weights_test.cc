#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/training/models/model.h"
#include "server/weights/safetensors.h"
#include "tests/training/models/golden_case.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ModelFactory& Bert() { return *ModelRegistry::Get().Find("bert"); }

class LoadWeightsTest : public ::testing::Test {
 protected:
  LoadWeightsTest() {
    const auto text = ReadFile(SourcePath("tests/golden/bert/tiny/config.json"));
    config_ = nlohmann::json::parse(*text);
    source_ = Bert().create(config_, 5);
    for (const Parameter& parameter : source_->parameters()) tensors_[parameter.name] = parameter.tensor;
  }

  std::string Write(at::ScalarType type = at::kFloat) {
    std::vector<at::Tensor> kept;
    std::vector<weights::TensorView> views;
    const auto dtype = type == at::kHalf ? weights::DType::kF16 : type == at::kBFloat16 ? weights::DType::kBF16 : type == at::kLong ? weights::DType::kI64 : weights::DType::kF32;
    for (const auto& [name, tensor] : tensors_) {
      kept.push_back(tensor.detach().to(type).contiguous());
      views.push_back({name, dtype, kept.back().sizes().vec(), {static_cast<const char*>(kept.back().data_ptr()), kept.back().nbytes()}});
    }
    const std::string path = directory_.path() + "/model.safetensors";
    EXPECT_TRUE(weights::WriteSafetensors(Files::Posix(), path, views, {}).ok());
    return path;
  }

  void Rename(const std::string& from, const std::string& to) {
    auto node = tensors_.extract(from);
    ASSERT_FALSE(node.empty()) << from;
    node.key() = to;
    tensors_.insert(std::move(node));
  }

  LoadReport Load(const std::string& path) {
    model_ = Bert().create(config_, 6);
    return LoadWeights(*model_, Bert(), path);
  }

  void ExpectFailure(const std::string& path, const std::string& message) {
    try {
      Load(path);
      FAIL() << "loaded";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }

  void ExpectEqualToSource(double tolerance) {
    for (size_t i = 0; i < model_->parameters().size(); ++i) {
      EXPECT_TRUE(model_->parameters()[i].tensor.allclose(source_->parameters()[i].tensor, tolerance, tolerance)) << model_->parameters()[i].name;
    }
  }

  TemporaryDirectory directory_;
  nlohmann::json config_;
  std::unique_ptr<Model> source_, model_;
  std::map<std::string, at::Tensor> tensors_;
};

TEST_F(LoadWeightsTest, ReadsEveryFloatingType) {
  const std::map<at::ScalarType, double> types = {{at::kFloat, 0}, {at::kHalf, 1e-3}, {at::kBFloat16, 1e-2}};
  for (const auto& [type, tolerance] : types) {
    const LoadReport report = Load(Write(type));
    EXPECT_EQ(report.loaded.size(), source_->parameters().size());
    EXPECT_THAT(report.newly_initialised, IsEmpty());
    EXPECT_THAT(report.ignored, IsEmpty());
    ExpectEqualToSource(tolerance);
  }
}

TEST_F(LoadWeightsTest, TakesNamesWithoutPrefixAndOldNormNames) {
  for (const Parameter& parameter : source_->parameters()) {
    std::string name = parameter.name.substr(Bert().description_of().prefix.size());
    const size_t norm = name.find("LayerNorm.");
    if (norm != std::string::npos) name = name.substr(0, norm + 10) + (name.ends_with("weight") ? "gamma" : "beta");
    Rename(parameter.name, name);
  }
  Load(Write());
  ExpectEqualToSource(0);
}

TEST_F(LoadWeightsTest, ReportsNewPoolerAndIgnoredHead) {
  tensors_.erase("bert.pooler.dense.weight");
  tensors_.erase("bert.pooler.dense.bias");
  tensors_["classifier.weight"] = at::zeros({3, 16});
  tensors_["bert.embeddings.position_ids"] = at::zeros({1, 24});
  const LoadReport report = Load(Write());
  EXPECT_THAT(report.newly_initialised, ElementsAre("bert.pooler.dense.weight", "bert.pooler.dense.bias"));
  EXPECT_THAT(report.ignored, Contains("classifier.weight"));
  EXPECT_THAT(report.ignored, Contains("bert.embeddings.position_ids"));
}

TEST_F(LoadWeightsTest, OfAnOptionalGroupAllOrNothing) {
  tensors_.erase("bert.pooler.dense.bias");
  ExpectFailure(Write(), "bert.pooler.dense.bias");
}

TEST_F(LoadWeightsTest, NamesMissingTensors) {
  tensors_.erase("bert.encoder.layer.1.output.dense.weight");
  ExpectFailure(Write(), "bert.encoder.layer.1.output.dense.weight");
}

TEST_F(LoadWeightsTest, NamesATensorOfAnotherShape) {
  tensors_["bert.encoder.layer.0.output.dense.bias"] = at::zeros({17});
  ExpectFailure(Write(), "bert.encoder.layer.0.output.dense.bias has shape [17], but config.json asks for [16]");
}

TEST_F(LoadWeightsTest, RefusesIntegers) { ExpectFailure(Write(at::kLong), "weights must be F32, F16 or BF16"); }

TEST_F(LoadWeightsTest, RefusesAFileThatIsNotThere) { ExpectFailure(directory_.path() + "/none.safetensors", "none.safetensors"); }

TEST(BertModel, IsSeeded) {
  const nlohmann::json config = {{"vocab_size", 20}, {"hidden_size", 8}, {"num_attention_heads", 2}, {"num_hidden_layers", 1}, {"intermediate_size", 8}};
  const auto one = Bert().create(config, 1), same = Bert().create(config, 1), other = Bert().create(config, 2);
  EXPECT_TRUE(one->parameters()[0].tensor.equal(same->parameters()[0].tensor));
  EXPECT_FALSE(one->parameters()[0].tensor.equal(other->parameters()[0].tensor));
  EXPECT_EQ(one->parameters()[0].tensor[0].abs().sum().item<float>(), 0);  // the padding token
}

TEST(BertModel, GroupsAndDecayOfParameters) {
  const nlohmann::json config = {{"vocab_size", 20}, {"hidden_size", 8}, {"num_attention_heads", 2}, {"num_hidden_layers", 2}, {"intermediate_size", 8}};
  const auto model = Bert().create(config, 1);
  EXPECT_THAT(model->groups(), ElementsAre("embeddings", "layer.0", "layer.1", "pooler"));
  for (const Parameter& parameter : model->parameters()) {
    EXPECT_EQ(parameter.decay, parameter.name.ends_with("weight") && parameter.name.find("LayerNorm") == std::string::npos) << parameter.name;
    if (parameter.name.find("layer.1.") != std::string::npos) {
      EXPECT_EQ(parameter.group, 2) << parameter.name;
    }
  }
  EXPECT_EQ(model->parameters().back().group, 3);
}

// Every file of models/ that says it registers architectures does; it is named as their names begin.
TEST(ModelRegistry, HoldsArchitecturesOfEachFileThatRegistersSome) {
  std::vector<std::string> registered;
  for (const ModelFactory* factory : ModelRegistry::Get().All()) registered.push_back(factory->architecture);
  const std::vector<std::string> names = ListDirectory(SourcePath("server/training/models")).value();
  for (const std::string& name : names) {
    if (!name.ends_with(".cc") || ReadFile(SourcePath("server/training/models/" + name))->find("ATTUNE_REGISTER_MODEL(") == std::string::npos) continue;
    EXPECT_THAT(registered, Contains(::testing::StartsWith(name.substr(0, name.size() - 3))));
  }
  EXPECT_EQ(architectures::ArchitectureRegistry::Get().Names(), registered);
  EXPECT_EQ(ModelRegistry::Get().Find("no-such-model"), nullptr);
  EXPECT_EQ(Bert().exported_class("text-classification"), "BertForSequenceClassification");
}

}  // namespace
}  // namespace attune::training
