// What the check says of a checkpoint of another architecture, and what of groups that may be missing. The files have the
// real models' names and shapes over a hole of zeros, for no value is looked at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"
#include "server/base/files.h"
#include "server/catalogue/weights_check.h"
#include "tests/fakes/tiny_bert.h"

namespace attune::catalogue {
namespace {

using architectures::Architecture;
using architectures::ArchitectureRegistry;
using architectures::ModelLayout;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Json = nlohmann::ordered_json;
using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

class MisfitTest : public ::testing::Test {
 protected:
  static const Architecture& Named(const std::string& name) { return *ArchitectureRegistry::Get().Find(name); }
  // Every tensor of a model as its library saves it, the head with it.
  static Shapes WholeModel(const std::string& name, nlohmann::json config = nlohmann::json::object()) {
    config["model_type"] = name;
    const Architecture& architecture = Named(name);
    const ModelLayout layout = *architecture.describe(config);
    Shapes shapes;
    for (const auto& parameter : layout.parameters) shapes.emplace_back(architecture.prefix + parameter.name, parameter.shape);
    for (const auto& buffer : layout.buffers) shapes.emplace_back(architecture.prefix + buffer.name, buffer.shape);
    shapes.emplace_back(architecture.head_name + ".weight", std::vector<int64_t>{1000, 64});
    shapes.emplace_back(architecture.head_name + ".bias", std::vector<int64_t>{1000});
    return shapes;
  }
  static void Erase(Shapes& shapes, const std::string& part) {
    shapes.erase(std::remove_if(shapes.begin(), shapes.end(), [&](const auto& s) { return s.first.find(part) != std::string::npos; }),
                 shapes.end());
  }
  // A sparse file of BF16 tensors (counters: I64).
  std::shared_ptr<const weights::SafetensorsFile> Write(const Shapes& shapes) {
    Json header = Json::object();
    int64_t offset = 0;
    for (const auto& [name, shape] : shapes) {
      int64_t bytes = shape.empty() ? 8 : 2;
      for (const int64_t size : shape) bytes *= size;
      header[name] = {{"dtype", shape.empty() ? "I64" : "BF16"}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
      offset += bytes;
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const uint64_t size = text.size();
    const std::string path = dir_.path() + "/model.safetensors";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(reinterpret_cast<const char*>(&size), 8) << text;
    std::filesystem::resize_file(path, 8 + size + static_cast<uint64_t>(offset));
    auto file = weights::SafetensorsFile::Open(path);
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }
  absl::StatusOr<std::vector<std::string>> Check(const std::string& name, const Shapes& shapes,
                                                 nlohmann::json config = nlohmann::json::object()) {
    config["model_type"] = name;
    return CheckWeights(*Write(shapes), Named(name), *Named(name).describe(config));
  }
  std::string Refusal(const std::string& name, const Shapes& shapes, const nlohmann::json& config = nlohmann::json::object()) {
    const absl::Status status = Check(name, shapes, config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }
  TemporaryDirectory dir_;
};

TEST_F(MisfitTest, EveryWholeModelIsAccepted) {
  for (const std::string& name : ArchitectureRegistry::Get().Names()) {
    const auto ignored = Check(name, WholeModel(name));
    ASSERT_TRUE(ignored.ok()) << name << ": " << ignored.status();
    EXPECT_THAT(*ignored, ElementsAre(Named(name).head_name + ".bias", Named(name).head_name + ".weight")) << name;
  }
}

TEST_F(MisfitTest, NamesTheArchitectureThatTheFileIsOf) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"resnet18", "resnet34"},   // the larger one has all tensors of the smaller one
      {"resnet34", "resnet18"},   {"resnet50", "wide_resnet50_2"}, {"resnet50", "resnext50_32x4d"}, {"vgg16", "vgg19"},
      {"vgg16", "vgg16_bn"},      {"vgg16_bn", "vgg16"},           {"mobilenet_v2", "resnet50"},    {"vit", "dinov2"},
      {"dinov2", "vit"},          {"bert", "vit"},                 {"inception_v3", "bert"},        {"vit", "resnet18"},
      {"resnet101", "resnet152"}, {"vgg19", "vgg16"}};
  for (const auto& [said, is] : cases) {
    EXPECT_THAT(Refusal(said, WholeModel(is)), HasSubstr(std::string("the tensors look like those of ") + is + ": if they are, set config.json's model_type to \"" + is + "\""))
        << said;
  }
}

TEST_F(MisfitTest, NamesTheArchitectureThoughItsSizesAreOthers) {
  EXPECT_THAT(Refusal("mobilenet_v2", WholeModel("mobilenet_v2"), {{"width_mult", 0.5}}), HasSubstr("look like those of a mobilenet_v2 of the default sizes"));
  Shapes bert;
  for (const TinyTensor& tensor : TinyBertTensors({.layers = 12})) bert.emplace_back(tensor.name, tensor.shape);
  EXPECT_THAT(Refusal("resnet18", bert), HasSubstr("the tensors have the names of a bert"));
}

TEST_F(MisfitTest, SaysNothingWhereNothingIsNear) {
  EXPECT_THAT(Refusal("resnet18", {{"transformer.h.0.attn.weight", {4}}}), HasSubstr("other names, such as \"transformer.h.0.attn.weight\""));
  Shapes damaged = WholeModel("resnet18");
  Erase(damaged, "layer3.0.conv1.weight");
  EXPECT_THAT(Refusal("resnet18", damaged), HasSubstr("is missing: layer3.0.conv1.weight; save the whole model of torchvision"));
  EXPECT_THAT(Refusal("resnet18", {}), Not(HasSubstr("look like")));
}

TEST_F(MisfitTest, AnAuxiliaryHeadMayBeMissingWhole) {
  Shapes shapes = WholeModel("inception_v3");
  shapes.emplace_back("AuxLogits.fc.weight", std::vector<int64_t>{1000, 768});
  shapes.emplace_back("AuxLogits.fc.bias", std::vector<int64_t>{1000});
  EXPECT_THAT(*Check("inception_v3", shapes), ElementsAre("AuxLogits.fc.bias", "AuxLogits.fc.weight", "fc.bias", "fc.weight"));
  Shapes without = shapes;
  Erase(without, "AuxLogits");
  EXPECT_TRUE(Check("inception_v3", without).ok()) << Check("inception_v3", without).status();
  for (const char* part : {"AuxLogits.conv0.conv.weight", "AuxLogits.conv1.bn.running_var"}) {
    Shapes half = shapes;
    Erase(half, part);
    EXPECT_THAT(Refusal("inception_v3", half), HasSubstr(std::string("the aux is not whole: ") + part)) << part;
  }
  Shapes uncounted = shapes;
  Erase(uncounted, "num_batches_tracked");
  EXPECT_TRUE(Check("inception_v3", uncounted).ok());
  EXPECT_THAT(*Check("inception_v3", shapes, {{"aux_logits", false}}), Not(IsEmpty())) << "then it is not used";
}

}  // namespace
}  // namespace attune::catalogue
