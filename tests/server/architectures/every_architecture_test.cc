// What every registered architecture promises of the model that its name alone describes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"
#include "server/architectures/lora_targets.h"
#include "server/base/files.h"

namespace attune::architectures {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = BufferShape::Kind;

constexpr int64_t kMaxParameters = int64_t{1} << 34;

class EveryArchitectureTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    architecture_ = ArchitectureRegistry::Get().Find(GetParam());
    ASSERT_NE(architecture_, nullptr);
    const auto layout = architecture_->describe({{"model_type", GetParam()}});
    ASSERT_TRUE(layout.ok()) << layout.status();
    layout_ = *layout;
  }
  bool IsGroup(const std::string& group) const {
    return std::find(layout_.groups.begin(), layout_.groups.end(), group) != layout_.groups.end();
  }
  // A parameter by its name; null when there is none.
  const ParameterShape* Find(const std::string& name) const {
    const auto found = std::find_if(layout_.parameters.begin(), layout_.parameters.end(), [&](const ParameterShape& p) { return p.name == name; });
    return found == layout_.parameters.end() ? nullptr : &*found;
  }
  const Architecture* architecture_ = nullptr;
  ModelLayout layout_;
};

TEST_P(EveryArchitectureTest, NamesAreUniqueAndCanonical) {
  std::set<std::string> names;
  const auto check = [&](const std::string& name) {
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    EXPECT_EQ(CanonicalName(*architecture_, name), name);
    EXPECT_EQ(CanonicalName(*architecture_, architecture_->prefix + name), name);
    EXPECT_FALSE(architecture_->is_buffer && architecture_->is_buffer(name)) << name;
    for (const std::string& head : {architecture_->head_name, architecture_->auxiliary_head_name}) {
      EXPECT_TRUE(head.empty() || name.rfind(head + ".", 0) != 0) << name << " is of the head, which is no part of the layout";
    }
  };
  for (const ParameterShape& parameter : layout_.parameters) check(parameter.name);
  for (const BufferShape& buffer : layout_.buffers) check(buffer.name);
  EXPECT_THAT(architecture_->head_name, Not(IsEmpty()));
}

TEST_P(EveryArchitectureTest, GroupsAreWholeAndInOrder) {
  EXPECT_EQ(std::set<std::string>(layout_.groups.begin(), layout_.groups.end()).size(), layout_.groups.size());
  std::map<std::string, int> sizes, optional;
  std::vector<std::string> seen;  // in the order of the parameters
  for (const ParameterShape& parameter : layout_.parameters) {
    ++sizes[parameter.group];
    optional[parameter.group] += parameter.optional ? 1 : 0;
    if (seen.empty() || seen.back() != parameter.group) seen.push_back(parameter.group);
  }
  EXPECT_EQ(seen, layout_.groups) << "each group's parameters stand together, in the order of the groups";
  for (const auto& [group, count] : optional) EXPECT_TRUE(count == 0 || count == sizes[group]) << group << " is optional in part";
  for (const BufferShape& buffer : layout_.buffers) EXPECT_TRUE(IsGroup(buffer.group)) << buffer.name;
}

TEST_P(EveryArchitectureTest, SizesAreBounded) {
  int64_t total = 0;
  for (const ParameterShape& parameter : layout_.parameters) {
    ASSERT_THAT(parameter.shape, Not(IsEmpty())) << parameter.name;
    for (const int64_t size : parameter.shape) ASSERT_GT(size, 0) << parameter.name;
    total += parameter.value_count();
  }
  EXPECT_GT(total, 1'000'000) << "the default is a model that people use";
  EXPECT_LT(total, kMaxParameters);
}

TEST_P(EveryArchitectureTest, BatchNormsHaveTheirBuffers) {
  std::map<std::string, std::set<Kind>> norms;
  for (const BufferShape& buffer : layout_.buffers) {
    const std::string norm = buffer.name.substr(0, buffer.name.rfind('.'));
    EXPECT_TRUE(norms[norm].insert(buffer.kind).second) << buffer.name;
    const ParameterShape* weight = Find(norm + ".weight");
    ASSERT_NE(weight, nullptr) << buffer.name;
    EXPECT_EQ(weight->role, Role::kNormWeight) << weight->name;
    EXPECT_EQ(weight->group, buffer.group) << buffer.name;
    const bool is_counter = buffer.kind == Kind::kBatchesTracked;
    EXPECT_EQ(buffer.shape, is_counter ? std::vector<int64_t>{} : weight->shape) << buffer.name;
  }
  for (const auto& [norm, kinds] : norms) EXPECT_EQ(kinds.size(), 3u) << norm;
}

TEST_P(EveryArchitectureTest, SaysWhatItTakes) {
  if (architecture_->modality == Modality::kText) {
    EXPECT_GT(layout_.max_length, 0);
    EXPECT_GT(layout_.vocabulary_size, 0);
    return;
  }
  const ImageInput& image = layout_.image;
  EXPECT_GE(image.image_size, image.min_image_size);
  EXPECT_GE(image.resize_size, image.image_size);
  EXPECT_GE(image.min_image_size, 1);
  EXPECT_GE(image.size_step, 1);
  for (const float deviation : image.standard_deviation) EXPECT_GT(deviation, 0);
}

TEST_P(EveryArchitectureTest, AdaptersGoBesideLinearLayersAndConvolutions) {
  std::vector<NamedShape> shapes;
  for (const ParameterShape& parameter : layout_.parameters) {
    shapes.push_back({parameter.name, parameter.shape});
    EXPECT_EQ(TakesLora(parameter.name, parameter.shape), parameter.role == Role::kLinearWeight || parameter.role == Role::kConvWeight) << parameter.name;
  }
  const std::vector<bool> targets = DefaultLoraTargets(shapes);
  ASSERT_EQ(targets.size(), shapes.size());
  const bool has_attention = Find("encoder.layer.0.attention.output.dense.weight") != nullptr;
  int64_t count = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i]) continue;
    ++count;
    EXPECT_TRUE(TakesLora(shapes[i].name, shapes[i].shape)) << shapes[i].name;
    EXPECT_EQ(shapes[i].shape.size(), has_attention ? 2u : 4u) << shapes[i].name;
  }
  if (has_attention) {
    EXPECT_EQ(count % 2, 0) << "a query and a value in each layer";
  }
  EXPECT_EQ(count == 0, GetParam().rfind("vgg", 0) == 0) << "VGG alone has neither attention nor 1 x 1 convolutions";
}

INSTANTIATE_TEST_SUITE_P(Registered, EveryArchitectureTest, ::testing::ValuesIn(ArchitectureRegistry::Get().Names()),
                         [](const auto& info) { return info.param; });

TEST(ArchitectureRegistryTest, EveryFileRegistersItself) {
  // Found by name so that a forgotten registration shows; these are what architectures share.
  const std::set<std::string> shared = {"architecture",      "config_values",  "image_config", "inverted_residual",
                                        "layout_builder",    "likeness",       "lora_targets", "pooling",           "vision_transformer_config"};
  const char* source = std::getenv("ATTUNE_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run this through ctest";
  const auto files = ListDirectory(std::string(source) + "/server/architectures");
  ASSERT_TRUE(files.ok()) << files.status();
  for (const std::string& file : *files) {
    if (file.size() < 4 || file.substr(file.size() - 3) != ".cc") continue;
    const std::string stem = file.substr(0, file.size() - 3);
    if (shared.count(stem) > 0) continue;
    EXPECT_THAT(ArchitectureRegistry::Get().Names(), Contains(StartsWith(stem))) << file;
  }
  EXPECT_EQ(ArchitectureRegistry::Get().Find("brrt"), nullptr);
}

TEST(ArchitectureRegistryTest, NamesAreSortedAndUnique) {
  const std::vector<std::string> names = ArchitectureRegistry::Get().Names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace attune::architectures
