// Jobs that begin with another one's checkpoint: with its weights, or with all of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/training/recipes/fine_tune.h"
#include "server/training/steps/plan/training_state.h"
#include "server/training/steps/training_error.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

constexpr const char* kResumable[] = {"/model.safetensors", "/optimizer.safetensors", "/training_state.json"};

std::string Content(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadFile(path);
  EXPECT_TRUE(content.ok()) << content.status();
  return content.value_or("");
}

// 18 steps, each saved, in "source".
FineTuneSpec RunSource(const TinyJob& job) {
  FineTuneSpec spec = TinySpec();
  spec.save_steps = 1;
  spec.keep_last = 100;
  RecordingReporter reporter;
  FineTune(spec, job.paths("source"), reporter, Files::Posix());
  return spec;
}

JobPaths WarmPaths(const TinyJob& job, const std::string& output, int64_t step = 18) {
  JobPaths paths = job.paths(output);
  paths.warm_start_dir = job.checkpoint(step, "source");
  return paths;
}

TEST(WarmStart, TakesOverEveryWeightWithTheHead) {
  TinyJob job;
  RunSource(job);
  FineTuneSpec still = TinySpec();
  still.max_steps = 1;
  still.phases[0].learning_rate = 0;
  still.optimizer.weight_decay = 0;
  still.seed = 9;  // of a new head, if there were one
  RecordingReporter reporter;
  FineTune(still, WarmPaths(job, "warm"), reporter, Files::Posix());
  EXPECT_EQ(reporter.resumed_from, 0) << "steps begin anew";
  EXPECT_EQ(TensorsOf(job.checkpoint(1, "warm") + "/model.safetensors"), TensorsOf(job.checkpoint(18, "source") + "/model.safetensors"));
  EXPECT_THAT(reporter.log(), ::testing::Contains(HasSubstr("begins with the weights of another job's checkpoint")));
}

TEST(WarmStart, EqualsAJobWhoseWeightsWereLoadedByHand) {
  TinyJob job;
  FineTuneSpec spec = RunSource(job);
  spec.seed = 9;
  RecordingReporter warm, by_hand;
  FineTune(spec, WarmPaths(job, "warm"), warm, Files::Posix());
  JobPaths paths = job.paths("by-hand");
  paths.resume_dir = paths.output_dir + "-start";
  ASSERT_TRUE(Files::Posix().CreateDirectories(paths.resume_dir).ok());
  WriteText(paths.resume_dir + "/model.safetensors", Content(job.checkpoint(18, "source") + "/model.safetensors"));
  WriteText(paths.resume_dir + "/training_state.json", TrainingState().ToJson());
  FineTune(spec, paths, by_hand, Files::Posix());
  ASSERT_EQ(warm.last_step, 18);
  for (const char* file : kResumable) EXPECT_EQ(Content(job.checkpoint(18, "warm") + file), Content(job.checkpoint(18, "by-hand") + file)) << file;
  EXPECT_NE(Content(job.checkpoint(18, "warm") + "/model.safetensors"), Content(job.checkpoint(18, "source") + "/model.safetensors"));
}

// W0 of adapters and w0 of L2-SP are the warm start's weights, also in attempts that go on from the job's own checkpoints.
TEST(WarmStart, AdaptersAndAnchorsBeginThereAndGoOnToTheBit) {
  TinyJob job;
  const FineTuneSpec source = RunSource(job);
  for (const bool lora : {true, false}) {
    FineTuneSpec spec = source;
    spec.lora.enabled = lora;
    spec.l2_sp = lora ? 0 : 0.5;
    const std::string whole = lora ? "lora" : "l2-sp", parts = whole + "-parts", cold = whole + "-cold";
    RecordingReporter undisturbed, interrupted, rest, from_base;
    FineTune(spec, WarmPaths(job, whole), undisturbed, Files::Posix());
    interrupted.stop_after_questions = 14;
    interrupted.stop_request = StopRequest::kPreempt;
    ASSERT_TRUE(FineTune(spec, WarmPaths(job, parts), interrupted, Files::Posix()).preempted);
    ASSERT_GT(interrupted.last_step, 6);
    JobPaths paths = WarmPaths(job, parts);
    paths.resume_dir = job.checkpoint(interrupted.last_step, parts);
    FineTune(spec, paths, rest, Files::Posix());
    for (const char* file : kResumable) EXPECT_EQ(Content(job.checkpoint(18, parts) + file), Content(job.checkpoint(18, whole) + file)) << whole << file;
    // Without the warm start the rest would be drawn elsewhere.
    paths = job.paths(cold);
    paths.resume_dir = job.checkpoint(interrupted.last_step, parts);
    spec.begins_after = interrupted.last_step;  // the best one so far is not in this directory
    FineTune(spec, paths, from_base, Files::Posix());
    EXPECT_NE(Content(job.checkpoint(18, cold) + kResumable[0]), Content(job.checkpoint(18, whole) + kResumable[0])) << whole;
  }
}

TEST(WarmStart, WithAllOfACheckpointEndsAsTheJobThatItGoesOnFrom) {
  TinyJob job;
  const FineTuneSpec source = RunSource(job);
  for (const int64_t step : {1, 5, 6, 7, 12, 17}) {
    FineTuneSpec spec = source;
    spec.begins_after = step;
    const std::string output = absl::StrCat("after-", step);
    JobPaths paths = job.paths(output);
    paths.resume_dir = job.checkpoint(step, "source");
    RecordingReporter reporter;
    const JobResult result = FineTune(spec, paths, reporter, Files::Posix());
    EXPECT_EQ(reporter.resumed_from, step);
    EXPECT_EQ(reporter.checkpoints().front().step, step + 1) << "those of the other job are not its own";
    EXPECT_GT(result.best_step, step) << "nor is its best";
    EXPECT_TRUE(result.has_test);
    EXPECT_EQ(result.test.step, result.best_step);
    for (int64_t saved = step + 1; saved <= 18; ++saved) {
      for (const char* file : kResumable) EXPECT_EQ(Content(job.checkpoint(saved, output) + file), Content(job.checkpoint(saved, "source") + file)) << step << " " << saved << file;
    }
  }
}

TEST(WarmStart, TheLastPhaseMayBeLonger) {
  TinyJob job;
  FineTuneSpec spec = RunSource(job);
  spec.begins_after = 18;
  spec.phases[1].n_epochs = 3;
  JobPaths paths = job.paths("longer");
  paths.resume_dir = job.checkpoint(18, "source");
  RecordingReporter reporter;
  FineTune(spec, paths, reporter, Files::Posix());
  EXPECT_EQ(reporter.last_step, 24);
}

TEST(WarmStart, ACheckpointThatLeavesNothingToTrainIsTheUsersFault) {
  TinyJob job;
  FineTuneSpec spec = RunSource(job);
  spec.begins_after = 18;
  JobPaths paths = job.paths("nothing");
  paths.resume_dir = job.checkpoint(18, "source");
  RecordingReporter reporter;
  try {
    FineTune(spec, paths, reporter, Files::Posix());
    FAIL();
  } catch (const TrainingError& error) {
    EXPECT_EQ(error.category(), FailureCategory::kUser);
    EXPECT_THAT(error.what(), HasSubstr("nothing is left to train: the checkpoint at step 18 is the end of the last phase, all; make that phase longer, or add one"));
  }
}

TEST(WarmStart, AnotherPhaseMayFollow) {
  TinyJob job;
  FineTuneSpec spec = RunSource(job);
  spec.begins_after = 18;
  spec.phases.push_back(spec.phases[0]);
  spec.phases[2].name = "more";
  JobPaths paths = job.paths("more");
  paths.resume_dir = job.checkpoint(18, "source");
  RecordingReporter reporter;
  FineTune(spec, paths, reporter, Files::Posix());
  EXPECT_EQ(reporter.last_step, 24);
  EXPECT_EQ(reporter.phases.front().phase, "more");
}

}  // namespace
}  // namespace attune::training
