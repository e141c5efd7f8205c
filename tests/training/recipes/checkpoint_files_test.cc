#include "server/training/recipes/checkpoint_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

TEST(ExportedConfig, SaysWhatTransformersNeeds) {
  const nlohmann::json base = {{"model_type", "bert"}, {"hidden_size", 16}, {"architectures", {"BertModel"}}, {"torch_dtype", "float16"}, {"num_labels", 9}};
  const auto config = nlohmann::json::parse(
      ExportedConfig(base, {"BertForSequenceClassification", "single_label_classification", {"no", "yes"}, 0.2}));
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
  const auto config = nlohmann::json::parse(ExportedConfig({{"model_type", "bert"}}, {"BertForSequenceClassification", "regression", {}, 0}));
  EXPECT_EQ(config["id2label"], (nlohmann::json{{"0", "LABEL_0"}}));
}

TEST(AttuneRecord, SurvivesJson) {
  const AttuneRecord record = {"models/m", "text-classification", {"a", "b\"ä"}, 128};
  const AttuneRecord read = AttuneRecord::FromJson(record.ToJson());
  EXPECT_EQ(read.base_model, record.base_model);
  EXPECT_EQ(read.task, record.task);
  EXPECT_EQ(read.labels, record.labels);
  EXPECT_EQ(read.max_length, 128);
  EXPECT_THROW(AttuneRecord::FromJson("{}"), TrainingError);
  EXPECT_THROW(AttuneRecord::FromJson("[1"), TrainingError);
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
