// Which architecture tensors look like, and which of them are a head's.
#include "server/architectures/likeness.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace attune::architectures {
namespace {

const Architecture& Named(const std::string& name) { return *ArchitectureRegistry::Get().Find(name); }
ModelLayout Default(const std::string& name) { return *Named(name).describe({{"model_type", name}}); }

std::vector<NamedShape> TensorsOf(const std::string& name) {
  const ModelLayout layout = Default(name);
  std::vector<NamedShape> tensors;
  for (const auto& parameter : layout.parameters) tensors.push_back({Named(name).prefix + parameter.name, parameter.shape});
  for (const auto& buffer : layout.buffers) tensors.push_back({Named(name).prefix + buffer.name, buffer.shape});
  tensors.push_back({Named(name).head_name + ".weight", {1000, 64}});
  return tensors;
}

TEST(LikenessTest, EveryArchitectureIsMostLikeItself) {
  for (const std::string& name : ArchitectureRegistry::Get().Names()) {
    const Likeness closest = ClosestArchitecture(TensorsOf(name));
    ASSERT_NE(closest.architecture, nullptr) << name;
    EXPECT_EQ(closest.architecture->name, name);
    EXPECT_EQ(closest.same, 1.0) << name;
    EXPECT_EQ(closest.named, 1.0) << name;
  }
}

TEST(LikenessTest, SharesAreDices) {
  const Architecture architecture{.name = "a", .head_name = "fc"};
  const ModelLayout layout{.parameters = {{"a.weight", {2, 2}, "g"}, {"b.weight", {2, 2}, "g"}, {"c.weight", {2, 2}, "g"}},
                           .buffers = {{"n.running_mean", {2}, "g"}, {"n.num_batches_tracked", {}, "g", BufferShape::Kind::kBatchesTracked}}};
  // Four of the layout count, and four of the file: not the head, not the counter.
  const Likeness likeness = LikenessTo(
      {{"a.weight", {2, 2}}, {"b.weight", {4}}, {"x.weight", {2}}, {"y.weight", {2}}, {"fc.weight", {9, 2}}, {"n.num_batches_tracked", {}}}, architecture, layout);
  EXPECT_EQ(likeness.architecture, &architecture);
  EXPECT_DOUBLE_EQ(likeness.named, 2.0 * 2 / (4 + 4));
  EXPECT_DOUBLE_EQ(likeness.same, 2.0 * 1 / (4 + 4));
}

TEST(LikenessTest, NothingIsLikeNothing) {
  EXPECT_EQ(ClosestArchitecture({}).architecture, nullptr);
  const Likeness none = ClosestArchitecture({{"no.such.tensor", {1}}});
  EXPECT_EQ(none.architecture, nullptr);
  EXPECT_EQ(none.same, 0);
  EXPECT_EQ(none.named, 0);
}

TEST(LikenessTest, HeadsAreKnownByName) {
  const Architecture architecture{.name = "a", .head_name = "classifier.6", .auxiliary_head_name = "AuxLogits.fc"};
  for (const char* name : {"classifier.6.weight", "classifier.6.bias", "classifier.6.0.weight", "classifier.6.12.bias", "AuxLogits.fc.weight"})
    EXPECT_TRUE(IsOfHead(architecture, name)) << name;
  for (const char* name : {"classifier.6", "classifier.66.weight", "classifier.0.weight", "classifier.6..weight", "classifier.6.0", "classifier.6.x.weight",
                           "classifier.6.0.1.weight", "AuxLogits.conv0.weight", "", "weight"})
    EXPECT_FALSE(IsOfHead(architecture, name)) << name;
  EXPECT_FALSE(IsOfHead(Architecture{.name = "b"}, ".weight")) << "an architecture without head";
}

}  // namespace
}  // namespace attune::architectures
