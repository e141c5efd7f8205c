// Import and description of image models, and rows that were written before there were any.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/catalogue/model_catalogue.h"
#include "server/catalogue/model_rows.h"
#include "tests/server/catalogue/catalogue_harness.h"

namespace attune::catalogue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageImportTest : public ::testing::Test {
 protected:
  ModelCatalogue& catalogue() { return harness_.catalogue(); }
  CatalogueHarness harness_;
};

TEST_F(ImageImportTest, ImportDescribesTheModel) {
  auto files = CatalogueHarness::TinyImageFiles({.classes = 1000});
  files["preprocessor_config.json"] = "{\"do_resize\": true}";
  const auto model = catalogue().Import(harness_.Request("tiny", files));
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->architecture(), "mobilenet_v2");
  EXPECT_EQ(model->modality(), "image");
  EXPECT_EQ(model->image_size(), 32);
  EXPECT_EQ(model->min_image_size(), 32);
  EXPECT_EQ(model->image_size_multiple(), 1);
  EXPECT_EQ(model->head_name(), "classifier.1");
  EXPECT_EQ(model->max_length(), 0);
  EXPECT_THAT(model->ignored_tensors(), ElementsAre("classifier.1.bias", "classifier.1.weight"));
  const architectures::ModelLayout layout = TinyImageLayout({});
  EXPECT_EQ(std::vector<std::string>(model->layer_groups().begin(), model->layer_groups().end()), layout.groups);
  int64_t values = 0;
  for (const auto& parameter : layout.parameters) values += parameter.value_count();
  EXPECT_EQ(model->parameter_count(), values) << "buffers and head are not counted";

  harness_.Restart();
  EXPECT_EQ(catalogue().Get("models/tiny")->SerializeAsString(), model->SerializeAsString());
  EXPECT_EQ(*ReadFile(*catalogue().Directory("models/tiny") + "/preprocessor_config.json"), "{\"do_resize\": true}");
}

TEST_F(ImageImportTest, TwoFilesSuffice) {
  const auto files = CatalogueHarness::TinyImageFiles();
  EXPECT_EQ(files.size(), 2u);
  const auto model = catalogue().Import(harness_.Request("tiny", files));
  EXPECT_TRUE(model.ok()) << model.status();
}

TEST_F(ImageImportTest, ATextModelStillNeedsItsTokenizer) {
  auto files = CatalogueHarness::TinyBertFiles();
  files.erase("tokenizer.json");
  const auto model = catalogue().Import(harness_.Request("tiny", files));
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("files: tokenizer.json is missing"));
}

TEST_F(ImageImportTest, DescribesLayersAndHasNoTokenizer) {
  ASSERT_TRUE(catalogue().Import(harness_.Request("tiny", CatalogueHarness::TinyImageFiles({.classes = 2}))).ok());
  v1::DescribeLayersRequest request;
  request.set_name("models/tiny");
  request.add_patterns("features.0.*");
  request.add_patterns("classifier.*");
  const auto response = catalogue().DescribeLayers(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(static_cast<size_t>(response->layers_size()), TinyImageLayout({}).parameters.size()) << "no buffers, no head";
  EXPECT_EQ(response->layers(0).name(), "features.0.0.weight");
  EXPECT_THAT(response->layers(0).shape(), ElementsAre(8, 3, 3, 3));
  EXPECT_THAT(response->matches(0).names(), ElementsAre("features.0.0.weight", "features.0.1.weight", "features.0.1.bias"));
  EXPECT_EQ(response->matches(1).names_size(), 0);

  const auto tokenizer = catalogue().Tokenizer("models/tiny");
  EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("models/tiny takes images and has no tokenizer"));
}

TEST_F(ImageImportTest, DescribesTheLayersOfAnotherPooling) {
  ASSERT_TRUE(catalogue().Import(harness_.Request("tiny", CatalogueHarness::TinyImageFiles({.classes = 2}))).ok());
  ASSERT_TRUE(catalogue().Import(harness_.Request("text", CatalogueHarness::TinyBertFiles())).ok());
  v1::DescribeLayersRequest request;
  request.set_name("models/text");
  const int own = catalogue().DescribeLayers(request)->layers_size();
  request.set_pooling(v1::POOLING_MEAN);
  const auto mean = catalogue().DescribeLayers(request);
  ASSERT_TRUE(mean.ok()) << mean.status();
  EXPECT_EQ(mean->layers_size(), own - 2) << "no pooler";
  request.set_name("models/tiny");
  EXPECT_TRUE(catalogue().DescribeLayers(request).ok());
  request.set_pooling(v1::POOLING_FIRST_TOKEN);
  const absl::Status refused = catalogue().DescribeLayers(request).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("a convolutional network has no first token: use mean or max"));
}

TEST_F(ImageImportTest, OldRowsAreTextModels) {
  v1::Model old;
  old.set_name("models/old");
  old.set_architecture("bert");
  old.set_max_length(64);
  ModelRows rows(harness_.database());
  ASSERT_TRUE(rows.Insert("old", old, "", "digest").ok());
  const v1::Model model = *catalogue().Get("models/old");
  EXPECT_EQ(model.modality(), "text");
  EXPECT_EQ(model.head_name(), "classifier");
  EXPECT_EQ(model.max_length(), 64);
  EXPECT_EQ(model.image_size(), 0);
  EXPECT_EQ(catalogue().List(ProjectSet::All(), 0, "")->models(0).modality(), "text");
}

}  // namespace
}  // namespace attune::catalogue
