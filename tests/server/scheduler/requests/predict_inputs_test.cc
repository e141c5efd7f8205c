#include "server/scheduler/requests/predict_inputs.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMiB = 1 << 20;

v1::PredictRequest Texts(int count) {
  v1::PredictRequest request;
  for (int i = 0; i < count; ++i) request.add_inputs()->set_text("x");
  return request;
}

v1::PredictRequest Images(std::initializer_list<size_t> sizes) {
  v1::PredictRequest request;
  for (size_t bytes : sizes) request.add_images(std::string(bytes, 'i'));
  return request;
}

v1::PredictRequest ManyImages(int count) {
  v1::PredictRequest request;
  for (int i = 0; i < count; ++i) request.add_images("i");
  return request;
}

TEST(PredictInputsTest, WhatIsWithinTheLimitsPasses) {
  for (const v1::PredictRequest& request : {Texts(1), Texts(256), ManyImages(1), ManyImages(64), Images({16 * kMiB, 16 * kMiB})}) {
    EXPECT_TRUE(CheckPredictInputs(request).empty()) << CheckPredictInputs(request)[0].description;
  }
}

TEST(PredictInputsTest, ViewsAreForImages) {
  v1::PredictRequest images = ManyImages(1), texts = Texts(1);
  images.set_views(32);
  texts.set_views(1);  // the plain one: nothing is asked of texts
  EXPECT_TRUE(CheckPredictInputs(images).empty());
  EXPECT_TRUE(CheckPredictInputs(texts).empty());
}

TEST(PredictInputsTest, EachFaultNamesItsField) {
  v1::PredictRequest both = Texts(1), empty_text = Texts(2), empty_image = Images({1, 0});
  both.add_images("i");
  v1::PredictRequest views_of_texts = Texts(1), many_views = ManyImages(1), negative_views = ManyImages(1);
  views_of_texts.set_views(2);
  many_views.set_views(33);
  negative_views.set_views(-1);
  empty_text.mutable_inputs(1)->clear_text();
  const struct {
    v1::PredictRequest request;
    const char* field;
    const char* words;
  } cases[] = {
      {Texts(0), "inputs", "1 to 256 texts, or 1 to 64 images"},
      {Texts(257), "inputs", "has 257 texts; give 1 to 256"},
      {empty_text, "inputs[1].text", "is required"},
      {both, "images", "inputs is set too"},
      {ManyImages(65), "images", "has 65 images; give 1 to 64"},
      {empty_image, "images[1]", "is empty"},
      {views_of_texts, "views", "is for images"},
      {many_views, "views", "must be 0 to 32, not 33"},
      {negative_views, "views", "not -1"},
      {Images({1, 16 * kMiB + 1}), "images[1]", "has 17 MiB and may have 16 MiB"},
      {Images({16 * kMiB, 15 * kMiB, kMiB + 1}), "images", "have 33 MiB together and may have 32 MiB; send fewer"},
  };
  for (const auto& c : cases) {
    std::vector<jobs::FieldViolation> violations = CheckPredictInputs(c.request);
    ASSERT_EQ(violations.size(), 1u) << c.words;
    EXPECT_EQ(violations[0].field, c.field);
    EXPECT_THAT(violations[0].description, HasSubstr(c.words));
  }
}

TEST(PredictInputsTest, TheModelDecidesWhatItTakes) {
  v1::FineTuningJob job;
  job.set_name("fineTuningJobs/j");
  for (v1::Task task : {v1::TASK_TEXT_CLASSIFICATION, v1::TASK_TEXT_MULTI_LABEL, v1::TASK_TEXT_REGRESSION}) {
    job.mutable_effective_spec()->set_task(task);
    EXPECT_TRUE(CheckPredictModality(Texts(1), job).empty());
    ASSERT_EQ(CheckPredictModality(ManyImages(1), job).size(), 1u);
    EXPECT_EQ(CheckPredictModality(ManyImages(1), job)[0].field, "images");
  }
  for (v1::Task task : {v1::TASK_IMAGE_CLASSIFICATION, v1::TASK_IMAGE_MULTI_LABEL, v1::TASK_IMAGE_REGRESSION}) {
    job.mutable_effective_spec()->set_task(task);
    EXPECT_TRUE(CheckPredictModality(ManyImages(1), job).empty());
    ASSERT_EQ(CheckPredictModality(Texts(1), job).size(), 1u);
    EXPECT_EQ(CheckPredictModality(Texts(1), job)[0].field, "inputs");
  }
}

}  // namespace
}  // namespace attune::scheduler
