// Jobs that learn from images, and the heads of all jobs: what is filled in, and what is refused.
#include <cmath>
#include <string>
#include <vector>

#include "tests/server/jobs/spec/spec_check_fixture.h"

namespace attune::jobs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Spec = v1::FineTuningSpec;

const double kNan = std::nan("");

// A valid minimal job on a small ResNet.
SpecCheckInput ImageInput() {
  SpecCheckInput input = ValidInput();
  input.spec.set_base_model("models/r");
  input.model.Clear();
  input.model.set_name("models/r");
  input.model.set_architecture("resnet50");
  input.model.set_modality("image");
  input.model.set_image_size(224);
  input.model.set_min_image_size(32);
  input.model.set_image_size_multiple(1);
  input.model.set_head_name("fc");
  input.dataset.set_modality("image");
  input.layers = {MakeLayer("conv1.weight", "stem"), MakeLayer("layer1.0.conv1.weight", "layer1"), MakeLayer("layer2.0.conv1.weight", "layer2")};
  v1::Architecture resnet;
  resnet.set_name("resnet50");
  for (const char* task : {"image-classification", "image-multi-label", "image-regression"}) resnet.add_tasks(task);
  input.architectures.push_back(resnet);
  return input;
}

Spec Effective(const SpecCheckInput& input) {
  SpecCheckResult result = CheckSpec(input);
  EXPECT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  return result.effective;
}

TEST(SpecCheckImages, FillsInEveryDefault) {
  SpecCheckResult result = CheckSpec(ImageInput());
  ASSERT_THAT(result.violations, IsEmpty()) << Text(result.violations);
  EXPECT_THAT(result.warnings, IsEmpty());
  const Spec& spec = result.effective;
  EXPECT_EQ(spec.task(), v1::TASK_IMAGE_CLASSIFICATION);
  EXPECT_EQ(spec.hyperparameters().n_epochs(), 5);
  EXPECT_EQ(spec.hyperparameters().learning_rate(), 1e-4);
  EXPECT_EQ(spec.hyperparameters().batch_size(), 32);
  EXPECT_EQ(spec.hyperparameters().image_size(), 224);
  EXPECT_FALSE(spec.hyperparameters().has_max_length());
  EXPECT_EQ(spec.evaluation().metric_for_best_model(), "accuracy");
  const v1::AugmentationSpec& augmentation = spec.augmentation();
  EXPECT_TRUE(augmentation.enabled());
  EXPECT_EQ(augmentation.crop_scale_min(), 0.4);
  EXPECT_EQ(augmentation.horizontal_flip(), 0.5);
  for (bool filled : {augmentation.has_brightness(), augmentation.has_contrast(), augmentation.has_saturation(), augmentation.has_hue(), augmentation.has_mixup_alpha(),
                      augmentation.has_cutmix_alpha()}) {
    EXPECT_TRUE(filled);
  }
  for (double value : {augmentation.brightness(), augmentation.contrast(), augmentation.saturation(), augmentation.hue(), augmentation.mixup_alpha(),
                       augmentation.cutmix_alpha()}) {
    EXPECT_EQ(value, 0);
  }
  EXPECT_FALSE(augmentation.has_rand_augment());
}

TEST(SpecCheckImages, TheTextbookGivesTheHeadAsManyEpochs) {
  SpecCheckInput input = ImageInput();
  const Spec spec = Effective(input);
  ASSERT_EQ(spec.phases_size(), 2);
  EXPECT_EQ(spec.phases(0).name(), "head");
  EXPECT_TRUE(spec.phases(0).trainable().head_only());
  EXPECT_EQ(spec.phases(0).n_epochs(), 5);
  EXPECT_EQ(spec.phases(0).learning_rate(), 1e-3);
  EXPECT_FALSE(spec.phases(0).augment()) << "its images are plain, and the frozen layers run once";
  EXPECT_TRUE(spec.phases(0).has_augment());
  EXPECT_EQ(spec.phases(0).batch_norm(), v1::BATCH_NORM_FROZEN);
  EXPECT_EQ(spec.phases(1).name(), "all");
  EXPECT_TRUE(spec.phases(1).trainable().all());
  EXPECT_EQ(spec.phases(1).n_epochs(), 5);
  EXPECT_EQ(spec.phases(1).learning_rate(), 1e-4);
  EXPECT_TRUE(spec.phases(1).augment());
  EXPECT_EQ(spec.phases(1).batch_norm(), v1::BATCH_NORM_FROZEN);
  input.spec.mutable_hyperparameters()->set_n_epochs(12);
  EXPECT_EQ(Effective(input).phases(0).n_epochs(), 12);
  EXPECT_EQ(Effective(input).phases(1).n_epochs(), 12);
  input.spec.mutable_hyperparameters()->set_learning_rate(2e-3);
  EXPECT_EQ(Effective(input).phases(0).learning_rate(), 4e-3);
}

TEST(SpecCheckImages, OwnPhasesAreFilledIn) {
  SpecCheckInput input = ImageInput();
  input.spec.add_phases()->mutable_trainable()->set_head_only(true);
  input.spec.add_phases()->mutable_trainable()->set_last_n_groups(1);
  v1::Phase& own = *input.spec.add_phases();
  own.mutable_trainable()->set_head_only(true);
  own.set_augment(true);
  v1::Phase& told = *input.spec.add_phases();
  told.set_batch_norm(v1::BATCH_NORM_TRAIN);
  told.set_augment(false);
  const Spec spec = Effective(input);
  EXPECT_FALSE(spec.phases(0).augment());
  EXPECT_EQ(spec.phases(0).n_epochs(), 5);
  EXPECT_TRUE(spec.phases(1).augment());
  EXPECT_EQ(spec.phases(1).batch_norm(), v1::BATCH_NORM_FROZEN);
  EXPECT_EQ(spec.phases(1).learning_rate(), 1e-4);
  EXPECT_TRUE(spec.phases(2).augment());
  EXPECT_FALSE(spec.phases(3).augment());
  EXPECT_EQ(spec.phases(3).batch_norm(), v1::BATCH_NORM_TRAIN);
}

TEST(SpecCheckImages, TasksFollowTheLabels) {
  SpecCheckInput input = ImageInput();
  MakeMultiLabel(input);
  EXPECT_EQ(Effective(input).task(), v1::TASK_IMAGE_MULTI_LABEL);
  EXPECT_EQ(Effective(input).evaluation().metric_for_best_model(), "f1_macro");
  MakeRegression(input);
  EXPECT_EQ(Effective(input).task(), v1::TASK_IMAGE_REGRESSION);
  EXPECT_EQ(Effective(input).evaluation().metric_for_best_model(), "mse");
  EXPECT_TRUE(TakesImages(v1::TASK_IMAGE_REGRESSION));
  EXPECT_FALSE(TakesImages(v1::TASK_TEXT_REGRESSION));
  EXPECT_FALSE(TakesImages(v1::TASK_UNSPECIFIED));
}

TEST(SpecCheckImages, LabelSmoothingIsForOneClassEach) {
  SpecCheckInput input = ImageInput();
  input.spec.mutable_hyperparameters()->set_label_smoothing(0.1);
  EXPECT_EQ(Effective(input).hyperparameters().label_smoothing(), 0.1);
}

TEST(SpecCheckImages, WhatIsAskedForStays) {
  SpecCheckInput input = ImageInput();
  v1::AugmentationSpec& augmentation = *input.spec.mutable_augmentation();
  augmentation.set_crop_scale_min(1);
  augmentation.set_horizontal_flip(0);
  augmentation.set_hue(0.5);
  augmentation.set_cutmix_alpha(1);
  augmentation.mutable_rand_augment()->set_magnitude(30);
  input.spec.mutable_hyperparameters()->set_image_size(33);
  const Spec spec = Effective(input);
  EXPECT_EQ(spec.hyperparameters().image_size(), 33);
  EXPECT_EQ(spec.augmentation().crop_scale_min(), 1);
  EXPECT_EQ(spec.augmentation().horizontal_flip(), 0);
  EXPECT_EQ(spec.augmentation().hue(), 0.5);
  EXPECT_EQ(spec.augmentation().cutmix_alpha(), 1);
  EXPECT_EQ(spec.augmentation().rand_augment().operations(), 2);
  EXPECT_EQ(spec.augmentation().rand_augment().magnitude(), 30);
}

TEST(SpecCheckImages, WithoutAugmentationNoPhaseAugments) {
  SpecCheckInput input = ImageInput();
  input.spec.mutable_augmentation()->set_enabled(false);
  const Spec spec = Effective(input);
  EXPECT_FALSE(spec.augmentation().enabled());
  EXPECT_FALSE(spec.augmentation().has_crop_scale_min());
  EXPECT_FALSE(spec.phases(1).augment());
  EXPECT_TRUE(spec.phases(1).has_augment());
}

TEST(SpecCheckImages, TheModelsOwnSizeNeedNotBeAMultiple) {
  SpecCheckInput input = ImageInput();
  input.model.set_image_size_multiple(14);
  input.model.set_image_size(518);
  EXPECT_EQ(Effective(input).hyperparameters().image_size(), 518);
  input.model.set_image_size(225);  // of a checkpoint with odd positions
  input.spec.mutable_hyperparameters()->set_image_size(225);
  EXPECT_EQ(Effective(input).hyperparameters().image_size(), 225);
  input.spec.mutable_hyperparameters()->set_image_size(224);
  EXPECT_EQ(Effective(input).hyperparameters().image_size(), 224);
}

TEST(SpecCheckImages, TheHeadsNamesAreTheModels) {
  SpecCheckInput input = ImageInput();
  v1::Phase& phase = *input.spec.add_phases();
  phase.mutable_trainable()->add_freeze("fc.weight");
  EXPECT_THAT(CheckSpec(input).violations, IsEmpty());
  phase.mutable_trainable()->set_freeze(0, "classifier.*");
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("spec.phases[0].trainable.freeze[0]: \"classifier.*\" matches no parameter of models/r"));
  phase.mutable_trainable()->set_freeze(0, "resnet50.conv1.weight");
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("matches no parameter")) << "torchvision's names have no prefix";
  input.spec.mutable_head()->add_hidden_sizes(16);
  for (const char* name : {"fc.1.weight", "fc.4.bias", "fc.*"}) {
    phase.mutable_trainable()->set_freeze(0, name);
    EXPECT_THAT(CheckSpec(input).violations, IsEmpty()) << name;
  }
  phase.mutable_trainable()->set_freeze(0, "fc.weight");
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("matches no parameter")) << "there are two layers, and numbers";
}

TEST(SpecCheckImages, AModelThatDoesNotFitNamesThoseThatDo) {
  SpecCheckInput input = ValidInput();
  input.dataset.set_modality("image");
  input.spec.mutable_hyperparameters()->set_max_length(64);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_EQ(result.violations.size(), 1u) << Text(result.violations);
  EXPECT_EQ(result.violations[0].field, "spec.base_model");
  EXPECT_EQ(result.violations[0].description,
            "models/m is a model of texts, and datasets/d holds images; choose a model of images (import one), or a dataset of texts");
  input.models.push_back(input.model);
  for (const char* name : {"models/a", "models/b"}) {
    input.models.push_back(ImageInput().model);
    input.models.back().set_name(name);
  }
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("a model of images (models/a, models/b fit)"));
  for (int i = 0; i < 9; ++i) input.models.push_back(input.models.back());
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("and 6 more fit"));

  input = ImageInput();
  input.dataset.clear_modality();
  input.models = {ValidInput().model, ImageInput().model};
  EXPECT_FALSE(SameModality(input.model, input.dataset));
  EXPECT_THAT(Text(CheckSpec(input).violations), HasSubstr("models/r is a model of images, and datasets/d holds texts; choose a model of texts (models/m fits)"));
}

TEST(SpecCheckImages, WhatNoPhaseUsesIsWarnedOf) {
  SpecCheckInput input = ImageInput();
  input.spec.mutable_augmentation()->set_brightness(0.2);
  EXPECT_THAT(CheckSpec(input).warnings, IsEmpty());
  input.spec.add_phases()->mutable_trainable()->set_head_only(true);
  EXPECT_THAT(CheckSpec(input).warnings, ElementsAre(HasSubstr("no phase uses it")));
  input.spec.mutable_phases(0)->set_augment(true);
  EXPECT_THAT(CheckSpec(input).warnings, IsEmpty());
}

TEST(SpecCheckImages, ViewsStayAndAreWarnedOfWhereTheyDoNothing) {
  SpecCheckInput input = ImageInput();
  input.spec.mutable_augmentation()->set_cached_views(64);
  input.spec.mutable_evaluation()->set_test_views(32);
  v1::SplitReport& test = *input.dataset.mutable_report()->add_splits();
  test.set_split(v1::SPLIT_TEST);
  test.set_rows(10);
  EXPECT_EQ(Effective(input).augmentation().cached_views(), 64);
  EXPECT_EQ(Effective(input).evaluation().test_views(), 32);
  EXPECT_THAT(CheckSpec(input).warnings, Not(Contains(HasSubstr("views"))));
  input.spec.mutable_augmentation()->set_cutmix_alpha(1);
  test.set_rows(0);
  EXPECT_THAT(CheckSpec(input).warnings, Contains(HasSubstr("cached_views: phases whose lowest layers are frozen")));
  EXPECT_THAT(CheckSpec(input).warnings, Contains(HasSubstr("test_views is not used: datasets/d has no test rows")));
}

TEST(SpecCheckHead, HiddenLayersAreFilledIn) {
  SpecCheckInput input = ValidInput();
  EXPECT_EQ(Effective(input).head().activation(), v1::ACTIVATION_UNSPECIFIED) << "there is nothing that it would be between";
  input.spec.mutable_head()->set_activation(v1::ACTIVATION_GELU);
  EXPECT_THAT(CheckSpec(input).warnings, ElementsAre(HasSubstr("head.activation")));
  for (int size : {1, 65536, 8, 8, 8, 8, 8, 8}) input.spec.mutable_head()->add_hidden_sizes(size);
  EXPECT_THAT(CheckSpec(input).warnings, Not(Contains(HasSubstr("activation"))));
  EXPECT_EQ(Effective(input).head().activation(), v1::ACTIVATION_GELU);
  EXPECT_EQ(Effective(input).head().hidden_sizes_size(), 8);
  input.spec.mutable_head()->clear_activation();
  EXPECT_EQ(Effective(input).head().activation(), v1::ACTIVATION_RELU);
}

// Of image jobs -----------------------------------------------------------------------------------------------------------------------------------------------------
class ImageFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(ImageFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ImageInput(), GetParam()); }

#define AUGMENT(name, setter, field, ...) \
  FaultCase { name, [](SpecCheckInput& i) { i.spec.mutable_augmentation()->setter; }, "spec.augmentation." field, {__VA_ARGS__} }
#define SIZE(name, size, ...) \
  FaultCase { name, [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_image_size(size); }, "spec.hyperparameters.image_size", {__VA_ARGS__} }

std::vector<FaultCase> AugmentationFaults() {
  auto off = [](const std::string& name, std::function<void(v1::AugmentationSpec&)> change, const std::string& field) {
    return FaultCase{name,
                     [change](SpecCheckInput& i) {
                       i.spec.mutable_augmentation()->set_enabled(false);
                       change(*i.spec.mutable_augmentation());
                     },
                     "spec.augmentation." + field,
                     {"enabled is false"}};
  };
  auto of_numbers = [](const std::string& name, std::function<void(v1::AugmentationSpec&)> change, const std::string& field) {
    return FaultCase{name, [change](SpecCheckInput& i) { MakeRegression(i); change(*i.spec.mutable_augmentation()); }, "spec.augmentation." + field, {"image-regression"}};
  };
  return {
      AUGMENT("NoCrop", set_crop_scale_min(0), "crop_scale_min", "over 0 and at most 1, not 0"),
      AUGMENT("LargeCrop", set_crop_scale_min(1.1), "crop_scale_min", "1.1"),
      AUGMENT("NanCrop", set_crop_scale_min(kNan), "crop_scale_min", "nan"),
      AUGMENT("NegativeFlip", set_horizontal_flip(-0.1), "horizontal_flip", "0 to 1"),
      AUGMENT("MuchFlip", set_horizontal_flip(1.5), "horizontal_flip", "not 1.5"),
      AUGMENT("NanFlip", set_horizontal_flip(kNan), "horizontal_flip", "nan"),
      AUGMENT("Brightness", set_brightness(2), "brightness", "0 to 1, not 2"),
      AUGMENT("NegativeBrightness", set_brightness(-1), "brightness", "-1"),
      AUGMENT("Contrast", set_contrast(1.01), "contrast", "0 to 1"),
      AUGMENT("Saturation", set_saturation(-0.5), "saturation", "0 to 1"),
      AUGMENT("Hue", set_hue(0.51), "hue", "0 to 0.5, not 0.51"),
      AUGMENT("NegativeHue", set_hue(-0.1), "hue", "0 to 0.5"),
      AUGMENT("Mixup", set_mixup_alpha(10.5), "mixup_alpha", "0 to 10"),
      AUGMENT("NegativeMixup", set_mixup_alpha(-1), "mixup_alpha", "0 to 10"),
      AUGMENT("Cutmix", set_cutmix_alpha(11), "cutmix_alpha", "0 to 10"),
      AUGMENT("NanCutmix", set_cutmix_alpha(kNan), "cutmix_alpha", "nan"),
      AUGMENT("ManyCachedViews", set_cached_views(65), "cached_views", "0 to 64, not 65"),
      AUGMENT("NegativeCachedViews", set_cached_views(-1), "cached_views", "0 to 64, not -1"),
      AUGMENT("ManyOperations", mutable_rand_augment()->set_operations(9), "rand_augment.operations", "1 to 8, not 9"),
      AUGMENT("NegativeOperations", mutable_rand_augment()->set_operations(-1), "rand_augment.operations", "1 to 8"),
      AUGMENT("Magnitude", mutable_rand_augment()->set_magnitude(31), "rand_augment.magnitude", "1 to 30, not 31"),
      AUGMENT("NegativeMagnitude", mutable_rand_augment()->set_magnitude(-1), "rand_augment.magnitude", "1 to 30"),
      off("CropOfNothing", [](auto& a) { a.set_crop_scale_min(0.5); }, "crop_scale_min"),
      off("FlipOfNothing", [](auto& a) { a.set_horizontal_flip(0); }, "horizontal_flip"),
      off("BrightnessOfNothing", [](auto& a) { a.set_brightness(0.1); }, "brightness"),
      off("ContrastOfNothing", [](auto& a) { a.set_contrast(0.1); }, "contrast"),
      off("SaturationOfNothing", [](auto& a) { a.set_saturation(0.1); }, "saturation"),
      off("HueOfNothing", [](auto& a) { a.set_hue(0.1); }, "hue"),
      off("RandAugmentOfNothing", [](auto& a) { a.mutable_rand_augment(); }, "rand_augment"),
      off("CachedViewsOfNothing", [](auto& a) { a.set_cached_views(2); }, "cached_views"),
      off("MixupOfNothing", [](auto& a) { a.set_mixup_alpha(0.1); }, "mixup_alpha"),
      off("CutmixOfNothing", [](auto& a) { a.set_cutmix_alpha(0.1); }, "cutmix_alpha"),
      of_numbers("MixupOfNumbers", [](auto& a) { a.set_mixup_alpha(0.2); }, "mixup_alpha"),
      of_numbers("CutmixOfNumbers", [](auto& a) { a.set_cutmix_alpha(0.2); }, "cutmix_alpha"),
  };
}

std::vector<FaultCase> OtherImageFaults() {
  return {
      SIZE("SmallImages", 31, "must be 32 (the least that models/r takes) to 1024, not 31"),
      SIZE("NoImages", 0, "32"),
      SIZE("LargeImages", 1025, "to 1024, not 1025"),
      {"OddImages", [](SpecCheckInput& i) { i.model.set_image_size_multiple(16); i.spec.mutable_hyperparameters()->set_image_size(250); },
       "spec.hyperparameters.image_size", {"multiple of 16", "not 250; use 256"}},
      {"OddLargeImages", [](SpecCheckInput& i) { i.model.set_image_size_multiple(14); i.spec.mutable_hyperparameters()->set_image_size(1023); },
       "spec.hyperparameters.image_size", {"use 1022"}},
      {"LengthOfImages", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_max_length(64); }, "spec.hyperparameters.max_length",
       {"is for texts, and models/r is an image model"}},
      {"TextTask", [](SpecCheckInput& i) { i.spec.set_task(v1::TASK_TEXT_CLASSIFICATION); }, "spec.task",
       {"whose rows are images with one class each; use TASK_IMAGE_CLASSIFICATION"}},
      {"TaskAgainstLabels", [](SpecCheckInput& i) { i.spec.set_task(v1::TASK_IMAGE_MULTI_LABEL); }, "spec.task", {"TASK_IMAGE_CLASSIFICATION"}},
      {"TaskNotOfArchitecture", [](SpecCheckInput& i) { i.architectures.back().clear_tasks(); i.architectures.back().add_tasks("image-regression"); }, "spec.task",
       {"resnet50 cannot be adapted to image-classification; it can to image-regression"}},
      {"SmoothingOfMany", [](SpecCheckInput& i) { MakeMultiLabel(i); i.spec.mutable_hyperparameters()->set_label_smoothing(0.1); },
       "spec.hyperparameters.label_smoothing", {"image-multi-label"}},
      {"ManyTestViews", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_test_views(33); }, "spec.evaluation.test_views", {"0 to 32, not 33"}},
      {"NegativeTestViews", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_test_views(-2); }, "spec.evaluation.test_views", {"0 to 32, not -2"}},
      {"BatchNorm", [](SpecCheckInput& i) { i.spec.add_phases()->set_batch_norm(static_cast<v1::BatchNorm>(7)); }, "spec.phases[0].batch_norm",
       {"7", "BATCH_NORM_FROZEN"}},
      {"AugmentedNothing", [](SpecCheckInput& i) { i.spec.mutable_augmentation()->set_enabled(false); i.spec.add_phases()->set_augment(true); },
       "spec.phases[0].augment", {"enabled is false"}},
  };
}
INSTANTIATE_TEST_SUITE_P(Augmentation, ImageFaults, ::testing::ValuesIn(AugmentationFaults()), NameOf);
INSTANTIATE_TEST_SUITE_P(Others, ImageFaults, ::testing::ValuesIn(OtherImageFaults()), NameOf);

// What text jobs may not say, and heads ------------------------------------------------------------------------------------------------------------------------------
class TextFaults : public ::testing::TestWithParam<FaultCase> {};
TEST_P(TextFaults, AreToldOnceByFieldAndWords) { ExpectOnlyFault(ValidInput(), GetParam()); }

std::vector<FaultCase> ImagesInTextJobs() {
  return {
      {"ImageSize", [](SpecCheckInput& i) { i.spec.mutable_hyperparameters()->set_image_size(224); }, "spec.hyperparameters.image_size",
       {"is for images, and models/m is a text model"}},
      {"Augmentation", [](SpecCheckInput& i) { i.spec.mutable_augmentation(); }, "spec.augmentation", {"is for images", "leave it out"}},
      {"AugmentationOff", [](SpecCheckInput& i) { i.spec.mutable_augmentation()->set_enabled(false); }, "spec.augmentation", {"is for images"}},
      {"BatchNorm", [](SpecCheckInput& i) { i.spec.add_phases()->set_batch_norm(v1::BATCH_NORM_FROZEN); }, "spec.phases[0].batch_norm", {"is for image models"}},
      {"Augment", [](SpecCheckInput& i) { i.spec.add_phases()->set_augment(true); }, "spec.phases[0].augment", {"is for images"}},
      {"TestViews", [](SpecCheckInput& i) { i.spec.mutable_evaluation()->set_test_views(2); }, "spec.evaluation.test_views", {"is for images", "leave it out"}},
      {"ImageTask", [](SpecCheckInput& i) { i.spec.set_task(v1::TASK_IMAGE_CLASSIFICATION); }, "spec.task",
       {"whose rows are texts with one class each; use TASK_TEXT_CLASSIFICATION"}},
      {"WithoutModel", [](SpecCheckInput& i) { i.model.Clear(); i.layers.clear(); i.spec.mutable_hyperparameters()->set_image_size(224); },
       "spec.hyperparameters.image_size", {"datasets/d holds texts"}},
  };
}

std::vector<FaultCase> HeadFaults() {
  auto sizes = [](std::vector<int> values) {
    return [values](SpecCheckInput& i) { i.spec.mutable_head()->mutable_hidden_sizes()->Assign(values.begin(), values.end()); };
  };
  return {
      {"NoSize", sizes({256, 0}), "spec.head.hidden_sizes[1]", {"1 to 65536, not 0"}},
      {"NegativeSize", sizes({-5}), "spec.head.hidden_sizes[0]", {"-5"}},
      {"HugeSize", sizes({65537}), "spec.head.hidden_sizes[0]", {"65537"}},
      {"ManyLayers", sizes(std::vector<int>(9, 8)), "spec.head.hidden_sizes", {"has 9 layers and may have 8"}},
      {"Activation", [](SpecCheckInput& i) { i.spec.mutable_head()->set_activation(static_cast<v1::Activation>(9)); }, "spec.head.activation", {"9", "GELU"}},
      {"Pooling", [](SpecCheckInput& i) { i.spec.mutable_head()->set_pooling(static_cast<v1::Pooling>(7)); }, "spec.head.pooling", {"no pooling 7", "FIRST_TOKEN, MEAN or MAX"}},
      {"NegativeDropout", [](SpecCheckInput& i) { i.spec.mutable_head()->set_dropout(-0.1); }, "spec.head.dropout", {"0 to below 1"}},
  };
}
INSTANTIATE_TEST_SUITE_P(Images, TextFaults, ::testing::ValuesIn(ImagesInTextJobs()), NameOf);
INSTANTIATE_TEST_SUITE_P(Heads, TextFaults, ::testing::ValuesIn(HeadFaults()), NameOf);

TEST(SpecCheckImages, AnUnknownModelDoesNotHideOtherFaults) {
  SpecCheckInput input = ImageInput();
  input.model.Clear();
  input.layers.clear();
  input.dataset.Clear();
  input.spec.mutable_hyperparameters()->set_image_size(4000);
  input.spec.mutable_augmentation()->set_hue(0.9);
  SpecCheckResult result = CheckSpec(input);
  EXPECT_EQ(result.violations.size(), 2u) << Text(result.violations);
}

}  // namespace
}  // namespace attune::jobs
