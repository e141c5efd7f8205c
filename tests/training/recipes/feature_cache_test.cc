// The feature cache as a job sees it: the same head, found again, and missed when a byte differs.
#include <cmath>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKnown[] = "is known already";
constexpr char kComputed[] = "computing the frozen layers' output";

FineTuneSpec HeadOnlySpec(int epochs = 2) {
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.pop_back();
  spec.phases[0].n_epochs = epochs;
  spec.head_dropout = 0;
  return spec;
}

std::vector<std::string> LogOf(const TinyImageJob& job, const FineTuneSpec& spec, const std::string& output) {
  RecordingReporter reporter;
  FineTune(spec, job.paths(output, /*cached=*/true), reporter, Files::Posix());
  return reporter.log();
}

std::vector<float> HeadOf(const std::string& checkpoint) {
  auto file = weights::SafetensorsFile::Open(checkpoint + "/model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  const std::string_view bytes = (*file)->data(*(*file)->Find("classifier.1.weight"));
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(FeatureCache, GivesTheSameHead) {
  TinyImageJob job;
  const FineTuneSpec spec = HeadOnlySpec();
  RecordingReporter with, without;
  const JobResult cached = FineTune(spec, job.paths("cached", true), with, Files::Posix());
  const JobResult plain = FineTune(spec, job.paths("plain"), without, Files::Posix());
  const std::vector<float> a = HeadOf(job.checkpoint(12, "cached")), b = HeadOf(job.checkpoint(12, "plain"));
  ASSERT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-4);
  EXPECT_EQ(cached.test.values.at("accuracy"), plain.test.values.at("accuracy"));
  EXPECT_THAT(with.log(), Contains(HasSubstr(kComputed)));
  EXPECT_THAT(without.log(), Each(Not(HasSubstr("frozen layers"))));
}

TEST(FeatureCache, AnotherHeadOnTheSameDataStartsFromIt) {
  TinyImageJob job;
  EXPECT_THAT(LogOf(job, HeadOnlySpec(), "first"), Each(Not(HasSubstr(kKnown))));
  FineTuneSpec spec = HeadOnlySpec();
  spec.head_hidden_sizes = {8};
  spec.batch_size = 5;
  spec.seed = 43;
  const auto log = LogOf(job, spec, "second");
  EXPECT_THAT(log, Contains(HasSubstr(kKnown)).Times(3));  // train, validation, test
  EXPECT_THAT(log, Each(Not(HasSubstr(kComputed))));
}

TEST(FeatureCache, IsSharedByThePhasesOfAJob) {
  TinyImageJob job;
  FineTuneSpec spec = HeadOnlySpec();
  spec.phases.push_back(spec.phases[0]);
  spec.phases[1].name = "head again";
  spec.phases[1].learning_rate = 1e-3;
  EXPECT_THAT(LogOf(job, spec, "out"), Contains(HasSubstr(kKnown)).Times(2));
}

TEST(FeatureCache, OneByteOfTheWeightsMisses) {
  TinyImageJob job;
  LogOf(job, HeadOnlySpec(), "first");
  const std::string path = job.paths().model_dir + "/model.safetensors";
  std::string bytes = *ReadFile(path);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, bytes).ok());
  EXPECT_THAT(LogOf(job, HeadOnlySpec(), "second"), Each(Not(HasSubstr(kKnown))));
}

TEST(FeatureCache, OtherDataMisses) {
  TinyImageJob job;
  LogOf(job, HeadOnlySpec(), "first");
  WriteTinyImages(job.paths().dataset_dir, {.train = 44, .validation = 20, .test = 20});
  EXPECT_THAT(LogOf(job, HeadOnlySpec(), "second"), Each(Not(HasSubstr(kKnown))));
}

TEST(FeatureCache, OtherPreprocessingMisses) {
  TinyImageJob job;
  LogOf(job, HeadOnlySpec(), "first");
  FineTuneSpec spec = HeadOnlySpec();
  spec.image_size = 40;
  EXPECT_THAT(LogOf(job, spec, "second"), Each(Not(HasSubstr(kKnown))));
}

TEST(FeatureCache, MissesOnceTheLayersBelowHaveLearnt) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.push_back(spec.phases[0]);  // head, all, head again
  spec.phases[2].name = "head again";
  const auto log = LogOf(job, spec, "out");
  EXPECT_THAT(log, Each(Not(AllOf(HasSubstr(kKnown), HasSubstr("train")))));
}

TEST(FeatureCache, AugmentedPhasesRunTheLayers) {
  TinyImageJob job;
  FineTuneSpec spec = HeadOnlySpec();
  spec.phases[0].augment = true;
  EXPECT_THAT(LogOf(job, spec, "out"), Each(Not(HasSubstr("rows of train"))));
}

FineTuneSpec CachedViewsSpec(int views, int epochs = 4) {
  FineTuneSpec spec = HeadOnlySpec(epochs);
  spec.phases[0].augment = true;
  spec.augmentation.cached_views = views;
  return spec;
}

TEST(FeatureCache, CachedViewsGiveTheSameHead) {
  TinyImageJob job;
  RecordingReporter with, without;
  FineTune(CachedViewsSpec(2), job.paths("cached", true), with, Files::Posix());
  FineTune(CachedViewsSpec(2), job.paths("plain"), without, Files::Posix());
  const std::vector<float> a = HeadOf(job.checkpoint(24, "cached")), b = HeadOf(job.checkpoint(24, "plain"));
  ASSERT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-4);
  EXPECT_THAT(with.log(), Contains(HasSubstr(kComputed)).Times(4));  // two views of train, validation, test
  EXPECT_THAT(with.log(), Contains(HasSubstr("rows of train, view 1,")).Times(1));
  RecordingReporter fresh;
  FineTune(CachedViewsSpec(0), job.paths("fresh"), fresh, Files::Posix());
  EXPECT_NE(HeadOf(job.checkpoint(24, "fresh")), b) << "new views in every epoch are other images";
}

TEST(FeatureCache, EachViewIsFoundAgainUnderItsSeedNumberAndAugmentation) {
  TinyImageJob job;
  LogOf(job, CachedViewsSpec(2), "first");
  EXPECT_THAT(LogOf(job, CachedViewsSpec(2), "again"), Contains(AllOf(HasSubstr(kKnown), HasSubstr("train"))).Times(2));
  EXPECT_THAT(LogOf(job, CachedViewsSpec(3), "more"), Contains(AllOf(HasSubstr(kKnown), HasSubstr("train"))).Times(2)) << "only the third is new";
  FineTuneSpec other = CachedViewsSpec(2);
  other.seed = 43;
  EXPECT_THAT(LogOf(job, other, "seed"), Each(Not(AllOf(HasSubstr(kKnown), HasSubstr("train")))));
  other = CachedViewsSpec(2);
  other.augmentation.brightness = 0.3;
  EXPECT_THAT(LogOf(job, other, "brighter"), Each(Not(AllOf(HasSubstr(kKnown), HasSubstr("train")))));
  EXPECT_THAT(LogOf(job, HeadOnlySpec(), "plain"), Each(Not(AllOf(HasSubstr(kKnown), HasSubstr("train")))));
}

TEST(FeatureCache, ViewsThatNoEpochShowsAreNotComputed) {
  TinyImageJob job;
  EXPECT_THAT(LogOf(job, CachedViewsSpec(64, 2), "out"), Contains(HasSubstr("rows of train, view")).Times(2));
}

TEST(FeatureCache, PhasesWithoutFrozenLayersDrawNewViews) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.erase(spec.phases.begin());
  const auto bytes = [&](int views, const std::string& output) {
    spec.augmentation.cached_views = views;
    LogOf(job, spec, output);
    return HeadOf(job.checkpoint(12, output));
  };
  EXPECT_EQ(bytes(1, "one"), bytes(0, "new"));
}

TEST(FeatureCache, AResumedJobWithCachedViewsEndsInTheSameBytes) {
  TinyImageJob job;
  FineTuneSpec spec = CachedViewsSpec(3);
  spec.save_steps = 1;
  spec.keep_last = 100;
  RecordingReporter whole, interrupted, rest;
  FineTune(spec, job.paths("whole", true), whole, Files::Posix());
  interrupted.stop_after_questions = 15;  // in the second epoch
  interrupted.stop_request = StopRequest::kPreempt;
  ASSERT_TRUE(FineTune(spec, job.paths("parts", true), interrupted, Files::Posix()).preempted);
  ASSERT_GT(interrupted.last_step, 0);
  ASSERT_LT(interrupted.last_step, 24);
  JobPaths paths = job.paths("parts", true);
  paths.resume_dir = job.checkpoint(interrupted.last_step, "parts");
  FineTune(spec, paths, rest, Files::Posix());
  EXPECT_EQ(HeadOf(job.checkpoint(24, "parts")), HeadOf(job.checkpoint(24, "whole")));
}

TEST(FeatureCache, ViewsThatDoNotFitTogetherAreComputedEachTime) {
  TinyImageJob job;
  JobPaths paths = job.paths("out", true);
  paths.feature_cache_bytes = 300000;  // a table of 43 rows with 1280 floats is 220160 bytes
  RecordingReporter reporter;
  EXPECT_TRUE(FineTune(CachedViewsSpec(4), paths, reporter, Files::Posix()).has_test);
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("for 4 views")));
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("a smaller augmentation.cached_views may fit")));
}

TEST(FeatureCache, WhatDoesNotFitIsSaidAndComputedEachTime) {
  TinyImageJob job;
  JobPaths paths = job.paths("out", true);
  paths.feature_cache_bytes = 1000;
  RecordingReporter reporter;
  const JobResult result = FineTune(HeadOnlySpec(), paths, reporter, Files::Posix());
  EXPECT_TRUE(result.has_test);
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("too large for the feature cache")));
}

TEST(FeatureCache, TextJobsUseItToo) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.phases.pop_back();
  JobPaths paths = job.paths();
  TemporaryDirectory cache;
  paths.feature_cache_dir = cache.path();
  paths.feature_cache_bytes = 1 << 20;
  RecordingReporter first;
  FineTune(spec, paths, first, Files::Posix());
  EXPECT_THAT(first.log(), Contains(HasSubstr(kComputed)));
  paths.output_dir += "2";
  RecordingReporter second;
  FineTune(spec, paths, second, Files::Posix());
  EXPECT_THAT(second.log(), Contains(HasSubstr(kKnown)));
}

}  // namespace
}  // namespace attune::training
