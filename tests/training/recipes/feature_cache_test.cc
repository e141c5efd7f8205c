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
