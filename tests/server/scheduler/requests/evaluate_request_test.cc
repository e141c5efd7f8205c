#include "server/scheduler/requests/evaluate_request.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::FineTuningJob Job() {
  v1::FineTuningJob job;
  job.set_name("fineTuningJobs/j1");
  job.mutable_spec()->set_dataset("datasets/own");
  job.mutable_effective_spec()->set_task(v1::TASK_TEXT_CLASSIFICATION);
  job.add_class_labels("bad");
  job.add_class_labels("good");
  return job;
}

v1::Dataset Dataset(int64_t train = 10, int64_t validation = 5, int64_t test = 5) {
  v1::Dataset dataset;
  dataset.set_name("datasets/other");
  dataset.set_label_kind(v1::LABEL_KIND_SINGLE_LABEL);
  dataset.add_labels("bad");
  dataset.add_labels("good");
  for (auto [split, rows] : {std::pair(v1::SPLIT_TRAIN, train), std::pair(v1::SPLIT_VALIDATION, validation), std::pair(v1::SPLIT_TEST, test)}) {
    v1::SplitReport& report = *dataset.mutable_report()->add_splits();
    report.set_split(split);
    report.set_rows(rows);
  }
  return dataset;
}

TEST(EvaluateRequestTest, WhatIsWithinTheLimitsPasses) {
  v1::EvaluateRequest request;
  EXPECT_THAT(CheckEvaluateRequest(request), IsEmpty());
  request.set_find_suspects(true);
  for (int count : {0, 1, 1000}) {
    request.set_suspect_count(count);
    EXPECT_THAT(CheckEvaluateRequest(request), IsEmpty()) << count;
  }
  for (int rows : {1, 1024}) {
    request.set_batch_size(rows);
    EXPECT_THAT(CheckEvaluateRequest(request), IsEmpty()) << rows;
  }
}

struct BadRequest {
  const char* field;
  void (*spoil)(v1::EvaluateRequest&);
  const char* words;
};

TEST(EvaluateRequestTest, EachFaultNamesItsField) {
  const BadRequest cases[] = {
      {"split", [](v1::EvaluateRequest& r) { r.set_split(static_cast<v1::Split>(9)); }, "SPLIT_TEST"},
      {"suspect_count", [](v1::EvaluateRequest& r) { r.set_find_suspects(true), r.set_suspect_count(-1); }, "is -1 and must be 1 to 1000"},
      {"suspect_count", [](v1::EvaluateRequest& r) { r.set_find_suspects(true), r.set_suspect_count(1001); }, "is 1001"},
      {"suspect_count", [](v1::EvaluateRequest& r) { r.set_suspect_count(5); }, "find_suspects is not"},
      {"batch_size", [](v1::EvaluateRequest& r) { r.set_batch_size(0); }, "is 0 and must be 1 to 1024"},
      {"batch_size", [](v1::EvaluateRequest& r) { r.set_batch_size(1025); }, "is 1025"},
  };
  for (const BadRequest& each : cases) {
    v1::EvaluateRequest request;
    each.spoil(request);
    const auto violations = CheckEvaluateRequest(request);
    ASSERT_EQ(violations.size(), 1u) << each.words;
    EXPECT_EQ(violations[0].field, each.field);
    EXPECT_THAT(violations[0].description, HasSubstr(each.words));
  }
}

TEST(EvaluateRequestTest, ADatasetOfTheSameKindPasses) {
  EXPECT_THAT(CheckEvaluateDataset({}, Job(), Dataset()), IsEmpty());
  v1::EvaluateRequest request;
  request.set_find_suspects(true);
  for (v1::Split split : {v1::SPLIT_TRAIN, v1::SPLIT_VALIDATION, v1::SPLIT_TEST}) {
    request.set_split(split);
    EXPECT_THAT(CheckEvaluateDataset(request, Job(), Dataset()), IsEmpty());
  }
}

TEST(EvaluateRequestTest, TheFirstClassThatDiffersIsNamed) {
  v1::Dataset dataset = Dataset();
  dataset.set_labels(1, "fine");
  auto violations = CheckEvaluateDataset({}, Job(), dataset);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "dataset");
  EXPECT_THAT(violations[0].description, HasSubstr("class 2 is \"fine\" in the dataset and \"good\" in the checkpoint"));
  dataset = Dataset();
  dataset.add_labels("unsure");
  EXPECT_THAT(CheckEvaluateDataset({}, Job(), dataset)[0].description, HasSubstr("class 3 is \"unsure\" in the dataset and none in the checkpoint"));
  dataset.mutable_labels()->DeleteSubrange(1, 2);
  EXPECT_THAT(CheckEvaluateDataset({}, Job(), dataset)[0].description, HasSubstr("class 2 is none in the dataset and \"good\""));
  v1::FineTuningJob silent = Job();
  silent.clear_class_labels();
  EXPECT_THAT(CheckEvaluateDataset({}, silent, dataset), IsEmpty()) << "the worker knows";
}

TEST(EvaluateRequestTest, ModalityAndKindOfLabelsMustFit) {
  v1::Dataset images = Dataset(), numbers = Dataset();
  images.set_modality("image");
  numbers.set_label_kind(v1::LABEL_KIND_REGRESSION);
  for (const auto& [dataset, words] : {std::pair(images, "has images with one class each, and the checkpoint learnt from texts with one class each"),
                                       std::pair(numbers, "has texts with a number each")}) {
    const auto violations = CheckEvaluateDataset({}, Job(), dataset);
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].field, "dataset");
    EXPECT_THAT(violations[0].description, HasSubstr(words));
  }
}

TEST(EvaluateRequestTest, ASplitMustHaveRows) {
  v1::EvaluateRequest request;
  request.set_split(v1::SPLIT_TEST);
  auto violations = CheckEvaluateDataset(request, Job(), Dataset(10, 5, 0));
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "split");
  EXPECT_THAT(violations[0].description, HasSubstr("datasets/other has no test rows; it has train, validation"));
  request.clear_split();
  EXPECT_THAT(CheckEvaluateDataset(request, Job(), Dataset(10, 5, 0)), IsEmpty()) << "validation, then";
  violations = CheckEvaluateDataset(request, Job(), Dataset(10, 0, 0));
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "split");
  request.set_find_suspects(true);
  violations = CheckEvaluateDataset(request, Job(), Dataset(0, 5, 0));
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "find_suspects");
}

TEST(EvaluateRequestTest, DefaultsAreFilledInForTheWorker) {
  v1::EvaluateRequest request;
  EXPECT_EQ(MakeEvaluation(request).split(), "");
  EXPECT_EQ(MakeEvaluation(request).suspect_count(), 0);
  EXPECT_EQ(MakeEvaluation(request).batch_size(), 64);
  request.set_find_suspects(true);
  EXPECT_EQ(MakeEvaluation(request).suspect_count(), 20);
  request.set_suspect_count(7);
  request.set_batch_size(3);
  request.set_split(v1::SPLIT_VALIDATION);
  EXPECT_EQ(MakeEvaluation(request).split(), "validation");
  EXPECT_EQ(MakeEvaluation(request).suspect_count(), 7);
  EXPECT_EQ(MakeEvaluation(request).batch_size(), 3);
}

}  // namespace
}  // namespace attune::scheduler
