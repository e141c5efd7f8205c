#include "client/cli/spec/spec_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "client/cli/spec/spec_values.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const SpecFlag& Flag(const std::string& name) {
  for (const SpecFlag& flag : SpecFlags()) {
    if (flag.name == name) return flag;
  }
  ADD_FAILURE() << "no flag " << name;
  return SpecFlags().front();
}

v1::FineTuningSpec Set(const std::string& name, const std::string& value) {
  v1::FineTuningSpec spec;
  EXPECT_TRUE(SetSpecFlag(Flag(name), value, &spec).ok()) << name;
  return spec;
}

TEST(SpecFlagsTest, EveryHyperparameterIsAFlagUnderItsName) {
  const auto& type = *v1::Hyperparameters::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    std::string name = type.field(i)->name();
    std::replace(name.begin(), name.end(), '_', '-');
    EXPECT_EQ(Flag(name).path.back(), type.field(i));
  }
}

TEST(SpecFlagsTest, NamesAreUniqueAndEveryFlagHasHelp) {
  std::set<std::string> names;
  for (const SpecFlag& flag : SpecFlags()) {
    EXPECT_TRUE(names.insert(flag.name).second) << flag.name << " occurs twice: rename it in spec_flags.cc";
    EXPECT_THAT(flag.help, ::testing::Not(::testing::StartsWith("See ")))
        << "write a help for --" << flag.name << " in spec_flags.cc";
  }
}

TEST(SpecFlagsTest, AdaptersRangeTestsReplayAndViews) {
  EXPECT_EQ(Set("lora-r", "4").lora().r(), 4);
  EXPECT_EQ(Set("lora-alpha", "32").lora().alpha(), 32);
  EXPECT_THAT(Set("lora-targets", "*.query.weight, *.key.weight").lora().target_modules(), ElementsAre("*.query.weight", "*.key.weight"));
  EXPECT_EQ(Set("lr-range-min", "1e-6").lr_range_test().min_learning_rate(), 1e-6);
  EXPECT_EQ(Set("lr-range-max", "2").lr_range_test().max_learning_rate(), 2);
  EXPECT_EQ(Set("lr-range-steps", "50").lr_range_test().steps(), 50);
  EXPECT_EQ(Set("replay-dataset", "old").replay().dataset(), "datasets/old");
  EXPECT_EQ(Set("replay-fraction", "0.25").replay().fraction(), 0.25);
  EXPECT_EQ(Set("cached-views", "8").augmentation().cached_views(), 8);
  EXPECT_EQ(Set("test-views", "4").evaluation().test_views(), 4);
}

TEST(SpecFlagsTest, RetriesAndWarmStarts) {
  EXPECT_EQ(Set("max-resource-retries", "0").scheduling().retry_policy().max_resource_retries(), 0);
  EXPECT_TRUE(Set("max-resource-retries", "0").scheduling().retry_policy().has_max_resource_retries());
  EXPECT_EQ(Set("max-system-retries", "7").scheduling().retry_policy().max_system_retries(), 7);
  EXPECT_EQ(Set("retry-backoff-seconds", "60").scheduling().retry_policy().backoff_seconds(), 60);
  EXPECT_EQ(Set("warm-start", "j1/30").warm_start().checkpoint(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_EQ(Set("warm-start", "j1").warm_start().checkpoint(), "fineTuningJobs/j1/checkpoints/best");
  EXPECT_EQ(Set("warm-start-part", "all").warm_start().part(), v1::WarmStart::PART_ALL);
}

TEST(SpecFlagsTest, ValuesOfEveryTypeArrive) {
  EXPECT_EQ(Set("n-epochs", "5").hyperparameters().n_epochs(), 5);
  EXPECT_EQ(Set("max-steps", "123456789012").hyperparameters().max_steps(), 123456789012);
  EXPECT_EQ(Set("learning-rate", "3e-5").hyperparameters().learning_rate(), 3e-5);
  EXPECT_EQ(Set("seed", "18446744073709551615").seed(), UINT64_MAX);
  EXPECT_EQ(Set("precision", "bf16").precision(), v1::PRECISION_BF16);
  EXPECT_EQ(Set("lr-scheduler-type", "cosine").hyperparameters().lr_scheduler_type(), v1::LR_SCHEDULER_TYPE_COSINE);
  EXPECT_EQ(Set("task", "text-classification").task(), v1::TASK_TEXT_CLASSIFICATION);
  EXPECT_EQ(Set("device", "cuda:1").resources().device(), "cuda:1");
  EXPECT_EQ(Set("head-dropout", "0").head().dropout(), 0);
  EXPECT_TRUE(Set("head-dropout", "0").head().has_dropout());
  EXPECT_EQ(Set("evaluation-split", "test").evaluation().split(), v1::SPLIT_TEST);
  EXPECT_EQ(Set("base-model", "minilm").base_model(), "models/minilm");
  EXPECT_EQ(Set("dataset", "datasets/d").dataset(), "datasets/d");
}

TEST(SpecFlagsTest, WhatIsForImages) {
  EXPECT_EQ(Set("image-size", "192").hyperparameters().image_size(), 192);
  EXPECT_THAT(Set("head-hidden", "256, 128").head().hidden_sizes(), ElementsAre(256, 128));
  EXPECT_THAT(Set("head-hidden", "64").head().hidden_sizes(), ElementsAre(64));
  EXPECT_EQ(Set("activation", "silu").head().activation(), v1::ACTIVATION_SILU);
  EXPECT_EQ(Set("task", "image-regression").task(), v1::TASK_IMAGE_REGRESSION);
  EXPECT_TRUE(Flag("augment").is_switch());
  EXPECT_FALSE(Set("augment", "false").augmentation().enabled());
  EXPECT_TRUE(Set("augment", "false").augmentation().has_enabled());
  EXPECT_EQ(Set("crop-scale-min", "0.3").augmentation().crop_scale_min(), 0.3);
  EXPECT_EQ(Set("horizontal-flip", "0").augmentation().horizontal_flip(), 0);
  EXPECT_EQ(Set("brightness", "0.1").augmentation().brightness(), 0.1);
  EXPECT_EQ(Set("contrast", "0.1").augmentation().contrast(), 0.1);
  EXPECT_EQ(Set("saturation", "0.1").augmentation().saturation(), 0.1);
  EXPECT_EQ(Set("hue", "0.1").augmentation().hue(), 0.1);
  EXPECT_EQ(Set("rand-augment-operations", "3").augmentation().rand_augment().operations(), 3);
  EXPECT_EQ(Set("rand-augment-magnitude", "7").augmentation().rand_augment().magnitude(), 7);
  EXPECT_EQ(Set("mixup", "0.8").augmentation().mixup_alpha(), 0.8);
  EXPECT_EQ(Set("cutmix", "1").augmentation().cutmix_alpha(), 1);
  EXPECT_EQ(Flag("rand-augment-magnitude").group, "Augmentation");
  EXPECT_EQ(Flag("head-hidden").group, "Head");
}

TEST(SpecFlagsTest, MapsAreNamesWithValues) {
  EXPECT_TRUE(Flag("class-weights").is_map());
  EXPECT_FALSE(Flag("class-weights").is_list());
  const v1::FineTuningSpec weighted = Set("class-weights", "spam=3, not spam=0.5,a=b=2");
  EXPECT_THAT(weighted.hyperparameters().class_weights(), ::testing::UnorderedElementsAre(::testing::Pair("spam", 3), ::testing::Pair("not spam", 0.5),
                                                       ::testing::Pair("a=b", 2)));
  v1::FineTuningSpec spec;
  (*spec.mutable_hyperparameters()->mutable_class_weights())["old"] = 1;
  ASSERT_TRUE(SetSpecFlag(Flag("class-weights"), "new=2", &spec).ok());
  EXPECT_THAT(spec.hyperparameters().class_weights(), ElementsAre(::testing::Pair("new", 2))) << "a map replaces a map";
  const std::pair<const char*, const char*> faults[] = {
      {"spam", "--class-weights: expected NAME=VALUE, got 'spam'"},
      {"=3", "--class-weights: expected NAME=VALUE, got '=3'"},
      {"spam=3,", "--class-weights: expected NAME=VALUE, got ''"},
      {"spam=much", "--class-weights: 'spam': expected a finite number, got 'much'"},
      {"spam=1,spam=2", "--class-weights: 'spam' is given twice"},
  };
  for (const auto& [text, fault] : faults) EXPECT_EQ(SetSpecFlag(Flag("class-weights"), text, &spec).message(), fault);
  EXPECT_THAT(spec.hyperparameters().class_weights(), ElementsAre(::testing::Pair("new", 2)))
      << "a fault changes nothing";
}

TEST(SpecFlagsTest, HowAdaptationIsSteered) {
  EXPECT_EQ(Set("class-balance", "balanced-sampling").hyperparameters().class_balance(),
            v1::CLASS_BALANCE_BALANCED_SAMPLING);
  EXPECT_EQ(Set("l2-sp", "0.01").hyperparameters().l2_sp(), 0.01);
  EXPECT_EQ(Set("ema-decay", "0.999").hyperparameters().ema_decay(), 0.999);
  EXPECT_EQ(Set("unfreeze-epochs", "2").gradual_unfreezing().epochs_per_group(), 2);
  EXPECT_EQ(Set("unfreeze-layer-decay", "0.4").gradual_unfreezing().layer_decay(), 0.4);
}

TEST(SpecFlagsTest, AListReplacesAList) {
  v1::FineTuningSpec spec;
  spec.mutable_head()->add_hidden_sizes(1);
  spec.mutable_head()->set_dropout(0.5);
  ASSERT_TRUE(SetSpecFlag(Flag("head-hidden"), "2,3", &spec).ok());
  EXPECT_THAT(spec.head().hidden_sizes(), ElementsAre(2, 3));
  EXPECT_EQ(spec.head().dropout(), 0.5);
  EXPECT_EQ(SetSpecFlag(Flag("head-hidden"), "4,", &spec).message(), "--head-hidden: expected a whole number, got ''");
  EXPECT_THAT(spec.head().hidden_sizes(), ElementsAre(2, 3)) << "a fault changes nothing";
}

TEST(SpecFlagsTest, AFlagReplacesOneValueOnly) {
  v1::FineTuningSpec spec;
  spec.mutable_hyperparameters()->set_n_epochs(3);
  spec.mutable_hyperparameters()->set_batch_size(16);
  ASSERT_TRUE(SetSpecFlag(Flag("n-epochs"), "1", &spec).ok());
  EXPECT_EQ(spec.hyperparameters().n_epochs(), 1);
  EXPECT_EQ(spec.hyperparameters().batch_size(), 16);
}

TEST(SpecFlagsTest, BadValuesNameTheFlag) {
  v1::FineTuningSpec spec;
  EXPECT_EQ(SetSpecFlag(Flag("n-epochs"), "many", &spec).message(), "--n-epochs: expected a whole number, got 'many'");
  EXPECT_THAT(std::string(SetSpecFlag(Flag("optimizer"), "adam", &spec).message()), HasSubstr("did you mean 'adamw'?"));
}

TEST(SpecValuesTest, EnumsInShort) {
  EXPECT_THAT(EnumChoices(*v1::LrSchedulerType_descriptor()), ElementsAre("linear", "cosine", "constant"));
  EXPECT_THAT(EnumChoices(*v1::Task_descriptor()),
              ElementsAre("text_classification", "text_multi_label", "text_regression", "image_classification",
                          "image_multi_label", "image_regression"));
  EXPECT_THAT(EnumChoices(*v1::BatchNorm_descriptor()), ElementsAre("frozen", "train"));
}

TEST(SpecValuesTest, ShortestNumbers) {
  EXPECT_EQ(ShortestNumber(0.1), "0.1");
  EXPECT_EQ(ShortestNumber(5e-5), "5e-05");
  EXPECT_EQ(ShortestNumber(1), "1");
  EXPECT_EQ(ShortestNumber(0.1 + 0.2), "0.30000000000000004");
}

}  // namespace
}  // namespace attune::cli
