// Jobs that change while they train: what the owner asks for, and what memory forces.
#include <algorithm>
#include <set>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/sha256.h"
#include "server/training/recipes/fine_tune.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kModel[] = "/model.safetensors";

double RateAt(const RecordingReporter& reporter, int64_t step) {
  const auto found = std::find_if(reporter.metrics.begin(), reporter.metrics.end(),
                                  [&](const MetricReport& metric) { return metric.step == step && metric.values.count("learning_rate") > 0; });
  return found == reporter.metrics.end() ? -1 : found->values.at("learning_rate");
}

// An attempt that goes on from each checkpoint of a run repeats its changes and ends in the same bytes.
void ExpectEveryCheckpointGoesOn(const TinyJob& job, FineTuneSpec spec, const RecordingReporter& whole) {
  spec.adjustments = whole.adjustments;
  const int64_t last = whole.checkpoints().back().step;
  std::set<int64_t> steps;
  for (const CheckpointReport& checkpoint : whole.checkpoints()) steps.insert(checkpoint.step);
  for (const int64_t step : steps) {
    const std::string output = absl::StrCat("from-", step);
    JobPaths paths = job.paths(output);
    paths.resume_dir = job.checkpoint(step, "whole");
    ASSERT_TRUE(Files::Posix().CreateDirectories(paths.output_dir + "/checkpoints").ok());
    for (const int64_t older : steps) {
      if (older <= step) ASSERT_EQ(symlink(job.checkpoint(older, "whole").c_str(), job.checkpoint(older, output).c_str()), 0);
    }
    RecordingReporter resumed;
    FineTune(spec, paths, resumed, Files::Posix());
    EXPECT_THAT(resumed.adjustments, IsEmpty()) << "they are known already";
    EXPECT_EQ(*Sha256OfFile(job.checkpoint(last, output) + kModel), *Sha256OfFile(job.checkpoint(last, "whole") + kModel)) << "from step " << step;
  }
}

FineTuneSpec SavesOften() {
  FineTuneSpec spec = TinySpec();
  spec.save_steps = 3;
  return spec;
}

TEST(LiveSettings, ARateAndALengthChangeWithinAPhase) {
  TinyJob job;
  const FineTuneSpec spec = SavesOften();
  RecordingReporter plain, whole;
  FineTune(spec, job.paths("plain"), plain, Files::Posix());
  whole.settings_after[7] = {.learning_rate_scale = 0.5};
  whole.settings_after[10] = {.learning_rate_scale = 0.5, .n_epochs = 4};
  FineTune(spec, job.paths("whole"), whole, Files::Posix());
  EXPECT_THAT(whole.adjustments, ElementsAre(Adjustment{.after_step = 8, .live_settings = {.learning_rate_scale = 0.5}},
                                             Adjustment{.after_step = 11, .live_settings = {.learning_rate_scale = 0.5, .n_epochs = 4}}));
  EXPECT_EQ(RateAt(whole, 8), RateAt(plain, 8));
  EXPECT_DOUBLE_EQ(RateAt(whole, 9), 0.5 * RateAt(plain, 9));
  EXPECT_EQ(whole.progress.back().step, 6 + 4 * 6) << "two epochs more";
  EXPECT_EQ(whole.progress.back().total_steps, 30);
  EXPECT_GT(RateAt(whole, 18), 0.5 * RateAt(plain, 18)) << "the schedule is drawn anew over the new length";
  ExpectEveryCheckpointGoesOn(job, spec, whole);
}

TEST(LiveSettings, ThePhaseKeepsTheEpochsThatItHasBegun) {
  TinyJob job;
  const FineTuneSpec spec = SavesOften();
  RecordingReporter whole;
  whole.settings_after[7] = {.n_epochs = 5};
  whole.settings_after[21] = {.n_epochs = 1};  // in the third epoch of the phase
  FineTune(spec, job.paths("whole"), whole, Files::Posix());
  EXPECT_EQ(whole.progress.back().step, 6 + 3 * 6);
  ExpectEveryCheckpointGoesOn(job, spec, whole);
}

TEST(LiveSettings, AreAskedForBeforeTheStartAndInEarlierPhases) {
  TinyJob job;
  const FineTuneSpec spec = SavesOften();
  RecordingReporter whole;
  whole.settings_after[0] = {.n_epochs = 3};
  whole.settings_after[2] = {.n_epochs = 1, .early_stopping_patience = 1};
  FineTune(spec, job.paths("whole"), whole, Files::Posix());
  EXPECT_EQ(whole.adjustments[0].after_step, 0);
  EXPECT_EQ(whole.adjustments[1].after_step, 3);
  EXPECT_EQ(whole.progress.back().step, 12) << "the last phase is meant, not the first";
  ExpectEveryCheckpointGoesOn(job, spec, whole);
}

TEST(LiveSettings, PatienceEndsAPhase) {
  TinyJob job;
  FineTuneSpec spec = SavesOften();
  spec.phases[1].n_epochs = 20;
  spec.phases[1].learning_rate = 1e-12;  // nothing improves
  RecordingReporter whole;
  whole.settings_after[20] = {.early_stopping_patience = 2};
  FineTune(spec, job.paths("whole"), whole, Files::Posix());
  EXPECT_EQ(whole.last_step, 24) << "at the next evaluation, for more than two have brought nothing";
  ExpectEveryCheckpointGoesOn(job, spec, whole);
}

// What waited for a worker takes effect first of all, and is reported.
TEST(LiveSettings, WaitingOnesBeginWithTheAttempt) {
  TinyJob job;
  FineTuneSpec spec = SavesOften();
  spec.adjustments = {{.batch_parts = 2}, {.live_settings = {.n_epochs = 1}}};
  RecordingReporter reporter;
  FineTune(spec, job.paths("whole"), reporter, Files::Posix());
  EXPECT_THAT(reporter.adjustments, ElementsAre(Adjustment{.after_step = 0, .batch_parts = 2}, Adjustment{.after_step = 0, .live_settings = {.n_epochs = 1}}));
  EXPECT_EQ(reporter.progress.back().step, 12);
  ExpectEveryCheckpointGoesOn(job, spec, reporter);
}

// Without dropout nothing but rounding tells a batch in parts from a whole one.
TEST(LiveSettings, ABatchInPartsLearnsTheSame) {
  TinyJob job;
  nlohmann::json config = TinyConfig();
  config["hidden_dropout_prob"] = config["attention_probs_dropout_prob"] = 0.0;
  WriteTinyModel(job.paths().model_dir, config);
  FineTuneSpec spec = TinySpec();
  spec.head_dropout = 0;
  RecordingReporter plain, divided;
  FineTune(spec, job.paths("plain"), plain, Files::Posix());
  spec.adjustments = {{.after_step = 3, .batch_parts = 4}};
  FineTune(spec, job.paths("divided"), divided, Files::Posix());
  ASSERT_EQ(plain.metrics.size(), divided.metrics.size());
  for (size_t i = 0; i < plain.metrics.size(); ++i) {
    for (const auto& [name, value] : plain.metrics[i].values) {
      if (name == "loss" || name == "grad_norm") EXPECT_NEAR(divided.metrics[i].values.at(name), value, 1e-3 * std::abs(value) + 1e-5) << name << " at step " << plain.metrics[i].step;
    }
  }
  EXPECT_NE(*Sha256OfFile(job.checkpoint(18, "plain") + kModel), *Sha256OfFile(job.checkpoint(18, "divided") + kModel)) << "so it was divided";
}

}  // namespace
}  // namespace attune::training
