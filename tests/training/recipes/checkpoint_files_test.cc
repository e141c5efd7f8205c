#include "server/training/recipes/checkpoint_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

TEST(ExportedConfig, SaysWhatTransformersNeeds) {
  const nlohmann::json base = {{"model_type", "bert"}, {"hidden_size", 16}, {"architectures", {"BertModel"}}, {"torch_dtype", "float16"}, {"num_labels", 9}};
  const auto config = nlohmann::json::parse(
      ExportedConfig(base, {"BertForSequenceClassification", "single_label_classification", {"no", "yes"}, 0.2}, nullptr));
  EXPECT_EQ(config["architectures"], nlohmann::json({"BertForSequenceClassification"}));
  EXPECT_EQ(config["problem_type"], "single_label_classification");
  EXPECT_EQ(config["id2label"], (nlohmann::json{{"0", "no"}, {"1", "yes"}}));
  EXPECT_EQ(config["label2id"], (nlohmann::json{{"no", 0}, {"yes", 1}}));
  EXPECT_EQ(config["classifier_dropout"], 0.2);
  EXPECT_EQ(config["dtype"], "float32");
  EXPECT_EQ(config["hidden_size"], 16);
  EXPECT_FALSE(config.contains("torch_dtype"));
  EXPECT_FALSE(config.contains("num_labels"));
}

TEST(ExportedConfig, RegressionHasOneOutput) {
  const auto config = nlohmann::json::parse(ExportedConfig({{"model_type", "bert"}}, {"BertForSequenceClassification", "regression", {}, 0}, nullptr));
  EXPECT_EQ(config["id2label"], (nlohmann::json{{"0", "LABEL_0"}}));
}

TEST(AttuneRecord, SurvivesJson) {
  AttuneRecord record;
  record.base_model = "models/m";
  record.task = "text-classification";
  record.labels = {"a", "b\"ä"};
  record.max_length = 128;
  record.image_size = 96;
  record.head_hidden_sizes = {64, 32};
  record.head_activation = HeadActivation::kTanh;
  const AttuneRecord read = AttuneRecord::FromJson(record.ToJson());
  EXPECT_EQ(read.base_model, record.base_model);
  EXPECT_EQ(read.task, record.task);
  EXPECT_EQ(read.labels, record.labels);
  EXPECT_EQ(read.max_length, 128);
  EXPECT_EQ(read.image_size, 96);
  EXPECT_EQ(read.head_hidden_sizes, record.head_hidden_sizes);
  EXPECT_EQ(read.head_activation, HeadActivation::kTanh);
  EXPECT_THROW(AttuneRecord::FromJson("{}"), TrainingError);
  EXPECT_THROW(AttuneRecord::FromJson("[1"), TrainingError);
}

TEST(AttuneRecord, ReadsThoseOfOlderWorkers) {
  const AttuneRecord read = AttuneRecord::FromJson(R"({"version": 1, "base_model": "models/m", "task": "text-regression", "labels": [], "max_length": 64})");
  EXPECT_EQ(read.max_length, 64);
  EXPECT_TRUE(read.head_hidden_sizes.empty());
  EXPECT_THROW(AttuneRecord::FromJson(R"({"version": 3, "base_model": "models/m", "task": "text-regression", "labels": [], "max_length": 64})"), TrainingError);
}

TEST(ExportedConfig, ATorchvisionModelSaysItsClassesAndSizes) {
  images::ViewSpec view;
  view.image_size = 96;
  view.resize_size = 110;
  const auto config = nlohmann::json::parse(ExportedConfig({{"model_type", "resnet18"}}, {"", "single_label_classification", {"a", "b", "c"}, 0.1}, &view));
  EXPECT_EQ(config["num_classes"], 3);
  EXPECT_EQ(config["image_size"], 96);
  EXPECT_EQ(config["resize_size"], 110);
  EXPECT_EQ(config["interpolation"], "bilinear");
  EXPECT_NEAR(config["image_std"][2].get<double>(), 0.225, 1e-6);
  EXPECT_FALSE(config.contains("architectures"));
  EXPECT_FALSE(config.contains("classifier_dropout"));
}

TEST(ExportedConfig, ATransformersImageModelKeepsTheSizeOfItsPositions) {
  images::ViewSpec view;
  view.image_size = 96;
  const auto config =
      nlohmann::json::parse(ExportedConfig({{"model_type", "vit"}, {"image_size", 224}}, {"ViTForImageClassification", "single_label_classification", {"a", "b"}, 0}, &view));
  EXPECT_EQ(config["image_size"], 224);
  EXPECT_EQ(config["architectures"], nlohmann::json({"ViTForImageClassification"}));
}

TEST(ExportedPreprocessor, DescribesThePlainView) {
  images::ViewSpec view;
  view.image_size = 96;
  view.resize_size = 110;
  view.bicubic = true;
  const auto json = nlohmann::json::parse(ExportedPreprocessor(view));
  EXPECT_EQ(json["size"]["shortest_edge"], 110);
  EXPECT_EQ(json["crop_size"]["height"], 96);
  EXPECT_EQ(json["resample"], 3);
  EXPECT_NEAR(json["image_mean"][0].get<double>(), 0.485, 1e-6);
}

TEST(ReadTokenizerFiles, TakesThoseThatAreThere) {
  TemporaryDirectory dir;
  for (const char* name : {"vocab.txt", "tokenizer.json", "README.md"}) {
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), dir.path() + "/" + name, name).ok());
  }
  std::vector<std::string> names;
  for (const CheckpointFile& file : ReadTokenizerFiles(dir.path())) {
    names.push_back(file.path);
    EXPECT_EQ(*file.content, file.path);
    EXPECT_FALSE(file.for_resume);
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("vocab.txt", "tokenizer.json"));
}

}  // namespace
}  // namespace attune::training
