// Learning-rate range tests as jobs: the curve, the end, the suggestions.
#include "server/training/recipes/lr_range_test.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One phase of 60 steps over the whole tiny model.
FineTuneSpec RangeSpec(double most = 10) {
  FineTuneSpec spec = TinySpec();
  spec.phases.erase(spec.phases.begin());
  spec.phases[0].n_epochs = 0;
  spec.phases[0].max_steps = 60;
  spec.lr_range_test = {.enabled = true, .min_learning_rate = 1e-5, .max_learning_rate = most};
  return spec;
}

TEST(LrRangeTestJob, ReportsTheCurveAndSuggestions) {
  TinyJob job;
  RecordingReporter reporter;
  const JobResult result = RunLrRangeTest(RangeSpec(), job.paths(), reporter, Files::Posix());
  ASSERT_TRUE(result.lr_range.has_value());
  ASSERT_GT(reporter.metrics.size(), 10u);
  ASSERT_LE(reporter.metrics.size(), 60u);
  const double factor = std::pow(10 / 1e-5, 1.0 / 59);
  for (size_t i = 0; i < reporter.metrics.size(); ++i) {
    const auto& values = reporter.metrics[i].values;
    EXPECT_NEAR(values.at("learning_rate") / (1e-5 * std::pow(factor, static_cast<double>(i))), 1, 1e-6) << i;
    EXPECT_EQ(values.count("loss"), 1u);
    EXPECT_EQ(values.count("smoothed_loss"), 1u);
  }
  EXPECT_EQ(reporter.metrics[0].values.at("loss"), reporter.metrics[0].values.at("smoothed_loss"));
  EXPECT_GT(result.lr_range->steepest, 1e-5);
  EXPECT_LT(result.lr_range->steepest, 10);
  EXPECT_GT(result.lr_range->tenth_of_minimum, 1e-6);
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("suggested learning rate: ")));
  EXPECT_THAT(reporter.evaluations, IsEmpty());
  EXPECT_THAT(reporter.checkpoints(), IsEmpty());
  EXPECT_FALSE(FileExists(job.checkpoint(1)));
  EXPECT_FALSE(result.has_test);
}

TEST(LrRangeTestJob, EndsWhenTheLossBlowsUp) {
  TinyJob job;
  RecordingReporter reporter;
  FineTuneSpec spec = RangeSpec(100);
  spec.optimizer = {.kind = OptimizerKind::kSgd, .max_grad_norm = 0};
  ASSERT_TRUE(RunLrRangeTest(spec, job.paths(), reporter, Files::Posix()).lr_range.has_value());
  EXPECT_LT(reporter.last_step, 60);
  EXPECT_THAT(reporter.log(), Contains(testing::AnyOf(HasSubstr("the loss has blown up"), HasSubstr("no finite number"))));
}

TEST(LrRangeTestJob, TheSameTestGivesTheSameCurve) {
  TinyJob job;
  RecordingReporter one, two;
  RunLrRangeTest(RangeSpec(), job.paths(), one, Files::Posix());
  RunLrRangeTest(RangeSpec(), job.paths(), two, Files::Posix());
  ASSERT_EQ(one.metrics.size(), two.metrics.size());
  for (size_t i = 0; i < one.metrics.size(); ++i) EXPECT_EQ(one.metrics[i].values.at("loss"), two.metrics[i].values.at("loss"));
}

TEST(LrRangeTestJob, AStoppedTestHasNoResult) {
  TinyJob job;
  for (StopRequest request : {StopRequest::kCancel, StopRequest::kPreempt}) {
    RecordingReporter reporter;
    reporter.stop_after_questions = 7;
    reporter.stop_request = request;
    const JobResult result = RunLrRangeTest(RangeSpec(), job.paths(), reporter, Files::Posix());
    EXPECT_EQ(result.cancelled, request == StopRequest::kCancel);
    EXPECT_EQ(result.preempted, request == StopRequest::kPreempt);
    EXPECT_FALSE(result.lr_range.has_value());
  }
}

TEST(LrRangeTestJob, OnlyWhatThePhaseTrainsIsTested) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.pop_back();  // the head alone, on plain images
  spec.phases[0].n_epochs = 0;
  spec.phases[0].max_steps = 60;
  spec.lr_range_test = {.enabled = true, .min_learning_rate = 1e-5, .max_learning_rate = 10};
  RecordingReporter reporter;
  ASSERT_TRUE(RunLrRangeTest(spec, job.paths("out", /*cached=*/true), reporter, Files::Posix()).lr_range.has_value());
  ASSERT_EQ(reporter.phases.size(), 1u);
  EXPECT_LT(reporter.phases[0].trainable_parameters, reporter.phases[0].total_parameters / 4);
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("computing the frozen layers' output")));
}

}  // namespace
}  // namespace attune::training
