#include "server/catalogue/layer_listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace attune::catalogue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<v1::DescribeLayersResponse> List(const std::vector<std::string>& patterns) {
  const architectures::ModelLayout layout{.parameters = {{"embeddings.word.weight", {10, 4}, "embeddings"},
                                          {"encoder.layer.0.dense.weight", {4, 4}, "layer.0"},
                                          {"encoder.layer.0.dense.bias", {4}, "layer.0"},
                                          {"encoder.layer.1.dense.weight", {4, 4}, "layer.1"}}};
  const google::protobuf::RepeatedPtrField<std::string> list(patterns.begin(), patterns.end());
  return ListLayers(layout, "bert.", list);
}

TEST(LayerListingTest, ListsParametersInModelOrder) {
  const v1::DescribeLayersResponse response = *List({});
  ASSERT_EQ(response.layers_size(), 4);
  EXPECT_EQ(response.layers(0).name(), "embeddings.word.weight");
  EXPECT_THAT(response.layers(0).shape(), ElementsAre(10, 4));
  EXPECT_EQ(response.layers(0).parameter_count(), 40);
  EXPECT_EQ(response.layers(2).group(), "layer.0");
  EXPECT_EQ(response.matches_size(), 0);
}

TEST(LayerListingTest, PatternsMatchWithAndWithoutThePrefix) {
  const v1::DescribeLayersResponse response = *List({"encoder.layer.[0-3].*.weight", "bert.encoder.layer.0.*", "*",
                                                     "dense.bias", "bert.encoder.layer.1.dense.weight"});
  ASSERT_EQ(response.matches_size(), 5);
  EXPECT_EQ(response.matches(0).pattern(), "encoder.layer.[0-3].*.weight");
  EXPECT_THAT(response.matches(0).names(), ElementsAre("encoder.layer.0.dense.weight", "encoder.layer.1.dense.weight"));
  EXPECT_EQ(response.matches(0).parameter_count(), 32);
  EXPECT_THAT(response.matches(1).names(), ElementsAre("encoder.layer.0.dense.weight", "encoder.layer.0.dense.bias"));
  EXPECT_EQ(response.matches(2).names_size(), 4);
  EXPECT_THAT(response.matches(3).names(), IsEmpty());
  EXPECT_EQ(response.matches(3).parameter_count(), 0);
  EXPECT_THAT(response.matches(4).names(), ElementsAre("encoder.layer.1.dense.weight"));
}

TEST(LayerListingTest, RefusesWhatIsNoPattern) {
  for (const std::string& wrong : {std::string(), std::string("layer.[0-"), std::string(513, '*')}) {
    const auto response = List({"*", wrong});
    EXPECT_EQ(response.status().code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(response.status().message()), HasSubstr("patterns[1]"));
  }
  EXPECT_FALSE(List(std::vector<std::string>(101, "*")).ok());
}

}  // namespace
}  // namespace attune::catalogue
