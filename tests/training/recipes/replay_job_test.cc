// Jobs with replay of a second dataset as a whole: one head or two, resuming, and that one head does not see the other's labels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/replay.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

FineTuneSpec WithReplay(FineTuneSpec spec, double fraction = 0.25) {
  spec.replay_fraction = fraction;
  return spec;
}

// A dataset of texts like the tiny one's, with other class names and, where `turned`, with the labels turned round.
void WriteOther(const std::string& directory, const std::vector<std::string>& labels, bool turned, int64_t rows = 20) {
  auto writer = examples::ExampleWriter::Create(Files::Posix(), directory);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int64_t i = 0; i < rows; ++i) {
    examples::Example example = TinyExample(examples::LabelKind::kSingleLabel, 1000 + i);
    if (turned) example.labels = {1 - example.labels[0]};
    ASSERT_TRUE((*writer)->Add(examples::Split::kTrain, example).ok());
  }
  examples::DatasetManifest manifest;
  manifest.labels = labels;
  manifest.filenames = {"other.csv"};
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
}

class ReplayJobTest : public ::testing::Test {
 protected:
  JobPaths Paths(const std::string& output, const std::vector<std::string>& labels = {"rainy", "sunny"}, bool turned = false) {
    JobPaths paths = job_.paths(output);
    paths.replay_dataset_dir = other_.path() + "/" + labels[0] + (turned ? "-turned" : "");
    if (!FileExists(paths.replay_dataset_dir)) WriteOther(paths.replay_dataset_dir, labels, turned);
    return paths;
  }
  TinyJob job_;
  TemporaryDirectory other_;
};

FineTuneSpec HeadOnly() {
  FineTuneSpec spec = WithReplay(TinySpec());
  spec.phases.pop_back();
  spec.optimizer.max_grad_norm = 0;  // the norm is of all gradients together
  return spec;
}

TEST(ReplayRows, AtLeastOneOfEach) {
  EXPECT_EQ(ReplayRows(8, 0.25), 2);
  EXPECT_EQ(ReplayRows(8, 0.9), 7);
  EXPECT_EQ(ReplayRows(32, 0.5), 16);
  EXPECT_EQ(ReplayRows(32, 0.001), 1);
  EXPECT_EQ(ReplayRows(2, 0.9), 1);
  EXPECT_EQ(ReplayRows(8, 0), 0);
  EXPECT_THROW(ReplayRows(1, 0.5), std::invalid_argument);
}

TEST_F(ReplayJobTest, ASecondHeadLearnsAndIsNotExported) {
  RecordingReporter reporter;
  FineTune(WithReplay(TinySpec()), Paths("out"), reporter, Files::Posix());
  // 43 rows in batches of 6 beside 2 replayed ones: 8 steps an epoch.
  EXPECT_EQ(reporter.last_step, 24);
  const auto model = TensorsOf(job_.checkpoint(24) + "/model.safetensors");
  const auto resume = TensorsOf(job_.checkpoint(24) + "/optimizer.safetensors");
  for (const auto& [name, bytes] : model) EXPECT_THAT(name, testing::Not(HasSubstr("replay")));
  EXPECT_EQ(resume.count("replay_head.classifier.weight"), 1u);
  EXPECT_EQ(resume.count("exp_avg.replay_head.classifier.bias"), 1u);
  EXPECT_NE(resume.at("replay_head.classifier.weight"), model.at("classifier.weight"));
  EXPECT_NE(resume.at("replay_head.classifier.bias"), std::string(8, '\0')) << "it starts at zero and has learnt";
}

TEST_F(ReplayJobTest, TheFirstHeadIsUnaffectedByTheOthersLabels) {
  RecordingReporter one, two, three;
  FineTune(HeadOnly(), Paths("straight"), one, Files::Posix());
  FineTune(HeadOnly(), Paths("turned", {"rainy", "sunny"}, true), two, Files::Posix());
  const auto straight = TensorsOf(job_.checkpoint(8, "straight") + "/model.safetensors");
  const auto turned = TensorsOf(job_.checkpoint(8, "turned") + "/model.safetensors");
  EXPECT_EQ(straight, turned);
  EXPECT_NE(TensorsOf(job_.checkpoint(8, "straight") + "/optimizer.safetensors").at("replay_head.classifier.weight"),
            TensorsOf(job_.checkpoint(8, "turned") + "/optimizer.safetensors").at("replay_head.classifier.weight"));
  // With the same classes there is one head, and the labels count.
  FineTune(HeadOnly(), Paths("shared", {"bad", "good"}), three, Files::Posix());
  EXPECT_NE(TensorsOf(job_.checkpoint(8, "shared") + "/model.safetensors").at("classifier.weight"), straight.at("classifier.weight"));
}

TEST_F(ReplayJobTest, WithTheSameClassesOneHeadLearnsFromBoth) {
  RecordingReporter reporter, turned;
  FineTune(HeadOnly(), Paths("out", {"bad", "good"}), reporter, Files::Posix());
  const auto resume = TensorsOf(job_.checkpoint(8) + "/optimizer.safetensors");
  EXPECT_EQ(resume.count("replay_head.classifier.weight"), 0u);
  EXPECT_EQ(resume.count("exp_avg.classifier.weight"), 1u);
  FineTune(HeadOnly(), Paths("turned", {"bad", "good"}, true), turned, Files::Posix());
  EXPECT_NE(TensorsOf(job_.checkpoint(8) + "/model.safetensors"), TensorsOf(job_.checkpoint(8, "turned") + "/model.safetensors"));
}

TEST_F(ReplayJobTest, ItsRowsMoveTheBaseModel) {
  FineTuneSpec without = TinySpec(), with = WithReplay(TinySpec());
  RecordingReporter one, two;
  FineTune(with, Paths("straight"), one, Files::Posix());
  FineTune(with, Paths("turned", {"rainy", "sunny"}, true), two, Files::Posix());
  const std::string query = "bert.encoder.layer.0.attention.self.query.weight";
  EXPECT_NE(TensorsOf(job_.checkpoint(24, "straight") + "/model.safetensors").at(query), TensorsOf(job_.checkpoint(24, "turned") + "/model.safetensors").at(query));
}

TEST_F(ReplayJobTest, AResumedRunEndsInTheSameBytes) {
  FineTuneSpec spec = WithReplay(TinySpec());
  spec.save_steps = 1;
  spec.keep_last = 100;
  RecordingReporter whole, interrupted, rest;
  FineTune(spec, Paths("whole"), whole, Files::Posix());
  interrupted.stop_after_questions = 16;
  interrupted.stop_request = StopRequest::kPreempt;
  ASSERT_TRUE(FineTune(spec, Paths("parts"), interrupted, Files::Posix()).preempted);
  ASSERT_GT(interrupted.last_step, 8);  // in the second phase
  JobPaths paths = Paths("parts");
  paths.resume_dir = job_.checkpoint(interrupted.last_step, "parts");
  FineTune(spec, paths, rest, Files::Posix());
  EXPECT_EQ(rest.resumed_from, interrupted.last_step);
  for (const char* file : {"/model.safetensors", "/optimizer.safetensors"}) {
    EXPECT_EQ(TensorsOf(job_.checkpoint(24, "parts") + file), TensorsOf(job_.checkpoint(24, "whole") + file)) << file;
  }
}

TEST_F(ReplayJobTest, AnotherKindOfRowsIsRefused) {
  TinyImageJob images;
  JobPaths paths = job_.paths("out");
  RecordingReporter reporter;
  for (const std::string& directory : {images.paths().dataset_dir, std::string()}) {
    paths.replay_dataset_dir = directory;
    EXPECT_THROW(FineTune(WithReplay(TinySpec()), paths, reporter, Files::Posix()), std::invalid_argument);
  }
}

TEST(ReplayOfImages, MixesPixelsWithTheirTargets) {
  TinyImageJob job, other;
  FineTuneSpec spec = WithReplay(TinyImageSpec(), 0.5);
  spec.augmentation.mixup_alpha = 0.4;
  JobPaths paths = job.paths();
  paths.replay_dataset_dir = other.paths().dataset_dir;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, paths, reporter, Files::Posix());
  EXPECT_EQ(reporter.last_step, 33);  // 43 rows in batches of 4, three epochs
  EXPECT_TRUE(result.has_test);
}

}  // namespace
}  // namespace attune::training
