#include "server/training/recipes/fine_tune.h"

#include <set>
#include <stdexcept>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/sha256.h"
#include "server/training/steps/training_error.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string DigestOf(const std::string& path) {
  auto digest = Sha256OfFile(path);
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.value_or("");
}

TEST(FineTune, LearnsAndTellsTheStory) {
  TinyJob job(examples::LabelKind::kSingleLabel, {.train = 120, .validation = 40, .test = 40});
  FineTuneSpec spec = TinySpec();
  spec.phases[1].n_epochs = 5;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());

  EXPECT_FALSE(result.cancelled);
  ASSERT_TRUE(result.has_test);
  EXPECT_GT(result.test.values.at("accuracy"), 0.9);
  EXPECT_EQ(result.test.rows, 40);
  EXPECT_EQ(result.test.split, "test");
  EXPECT_EQ(reporter.resumed_from, 0);
  EXPECT_EQ(reporter.started_device, "cpu");

  ASSERT_EQ(reporter.phases.size(), 2u);
  EXPECT_EQ(reporter.phases[0].phase, "head");
  EXPECT_EQ(reporter.phases[0].trainable_parameters, 2 * 16 + 2);
  EXPECT_EQ(reporter.phases[1].trainable_parameters, reporter.phases[1].total_parameters);

  EXPECT_EQ(reporter.evaluations.size(), 6u);  // each epoch
  EXPECT_EQ(reporter.evaluations[0].step, 15);
  EXPECT_EQ(reporter.evaluations[0].confusion.size(), 4u);
  EXPECT_EQ(reporter.progress.back().step, 90);
  EXPECT_EQ(reporter.progress.back().total_steps, 90);
  EXPECT_EQ(reporter.progress.back().eta_seconds, 0);
  EXPECT_DOUBLE_EQ(reporter.progress.back().epoch, 5);
  EXPECT_EQ(reporter.metrics.size(), 90u + 6u);  // a short job shows every step
  for (const char* name : {"loss", "learning_rate", "grad_norm", "samples_per_second", "tokens_per_second"}) {
    EXPECT_EQ(reporter.metrics[0].values.count(name), 1u) << name;
  }
  EXPECT_EQ(reporter.checkpoints().size(), 6u);
}

TEST(FineTune, OnlyWhatLearnsChanges) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.phases.pop_back();
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  auto base = *weights::SafetensorsFile::Open(job.paths().model_dir + "/model.safetensors");
  auto tuned = *weights::SafetensorsFile::Open(job.checkpoint(6) + "/model.safetensors");
  EXPECT_EQ(tuned->tensors().size(), base->tensors().size() + 2);
  for (const weights::TensorInfo& info : base->tensors()) {
    const weights::TensorInfo* same = tuned->Find("bert." + info.name);
    ASSERT_NE(same, nullptr) << info.name;
    EXPECT_EQ(tuned->data(*same), base->data(info)) << info.name;
  }
  EXPECT_NE(tuned->Find("classifier.weight"), nullptr);
}

TEST(FineTune, EqualSeedsGiveEqualBytes) {
  TinyJob job;
  RecordingReporter reporter;
  FineTuneSpec spec = TinySpec();
  FineTune(spec, job.paths("a"), reporter, Files::Posix());
  FineTune(spec, job.paths("b"), reporter, Files::Posix());
  spec.seed = 43;
  FineTune(spec, job.paths("c"), reporter, Files::Posix());
  EXPECT_EQ(DigestOf(job.checkpoint(18, "a") + "/model.safetensors"), DigestOf(job.checkpoint(18, "b") + "/model.safetensors"));
  EXPECT_NE(DigestOf(job.checkpoint(18, "a") + "/model.safetensors"), DigestOf(job.checkpoint(18, "c") + "/model.safetensors"));
}

// Everything that the state has to carry: accumulation with a ragged end, warm-up, layer decay, patience, dropout.
FineTuneSpec HardSpec(Precision precision, OptimizerKind optimizer) {
  FineTuneSpec spec = TinySpec();
  spec.precision = precision;
  spec.optimizer.kind = optimizer;
  spec.accumulation = 2;
  spec.schedule = ScheduleKind::kCosine;
  spec.early_stopping_patience = 3;
  spec.eval_steps = 4;
  spec.save_steps = 2;
  spec.phases[0].n_epochs = 2;
  spec.phases[1].n_epochs = 3;
  return spec;
}

struct ResumeCase {
  Precision precision;
  OptimizerKind optimizer;
};

class ResumeTest : public ::testing::TestWithParam<ResumeCase> {};

// From every checkpoint of the run another attempt ends in the same bytes, with the same best checkpoint and figures.
TEST_P(ResumeTest, EveryCheckpointGoesOnToTheBit) {
  TinyJob job;
  const FineTuneSpec spec = HardSpec(GetParam().precision, GetParam().optimizer);
  RecordingReporter undisturbed;
  const JobResult expected = FineTune(spec, job.paths("whole"), undisturbed, Files::Posix());
  const int64_t last = undisturbed.checkpoints().back().step;
  std::set<int64_t> steps;
  for (const CheckpointReport& checkpoint : undisturbed.checkpoints()) steps.insert(checkpoint.step);
  ASSERT_GE(steps.size(), 6u);
  for (int64_t step : steps) {
    const std::string output = absl::StrCat("from-", step);
    JobPaths paths = job.paths(output);
    paths.resume_dir = job.checkpoint(step, "whole");
    // What the best checkpoint's weights are read from when it is older than the resumption.
    ASSERT_TRUE(Files::Posix().CreateDirectories(paths.output_dir + "/checkpoints").ok());
    for (int64_t older : steps) {
      if (older > step) continue;
      ASSERT_EQ(symlink(job.checkpoint(older, "whole").c_str(), job.checkpoint(older, output).c_str()), 0);
    }
    RecordingReporter resumed;
    const JobResult result = FineTune(spec, paths, resumed, Files::Posix());
    EXPECT_EQ(resumed.resumed_from, step);
    EXPECT_EQ(result.best_step, expected.best_step) << "from step " << step;
    EXPECT_EQ(result.test.values, expected.test.values) << "from step " << step;
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "training_state.json", "config.json", "manifest.json"}) {
      EXPECT_EQ(DigestOf(job.checkpoint(last, output) + "/" + file), DigestOf(job.checkpoint(last, "whole") + "/" + file)) << file << " from step " << step;
    }
    if (step < last) {
      EXPECT_EQ(resumed.metrics.front().step, step + 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, ResumeTest,
                         ::testing::Values(ResumeCase{Precision::kFp32, OptimizerKind::kAdamW}, ResumeCase{Precision::kBf16, OptimizerKind::kAdamW},
                                           ResumeCase{Precision::kFp32, OptimizerKind::kSgd}));

// A process that must go leaves the place where it was, wherever it was asked.
TEST(FineTune, PreemptedAnywhereEndsInTheSameBytes) {
  TinyJob job;
  FineTuneSpec spec = HardSpec(Precision::kFp32, OptimizerKind::kAdamW);
  spec.save_steps = 1000;
  RecordingReporter undisturbed;
  const JobResult expected = FineTune(spec, job.paths("whole"), undisturbed, Files::Posix());
  const int64_t last = undisturbed.checkpoints().back().step;
  for (int64_t after : {1, 5, 14, 30}) {
    const std::string output = absl::StrCat("cut-", after);
    RecordingReporter cut;
    cut.stop_after_questions = after;
    cut.stop_request = StopRequest::kPreempt;
    const JobResult stopped = FineTune(spec, job.paths(output), cut, Files::Posix());
    EXPECT_TRUE(stopped.preempted);
    EXPECT_FALSE(stopped.cancelled);
    JobPaths paths = job.paths(output);
    if (!cut.checkpoints().empty()) paths.resume_dir = job.checkpoint(cut.checkpoints().back().step, output);
    RecordingReporter resumed;
    const JobResult result = FineTune(spec, paths, resumed, Files::Posix());
    EXPECT_EQ(result.best_step, expected.best_step);
    EXPECT_EQ(DigestOf(job.checkpoint(last, output) + "/model.safetensors"), DigestOf(job.checkpoint(last, "whole") + "/model.safetensors")) << after;
  }
}

// Half a minute goes by between any two looks at it.
class LeapingClock final : public Clock {
 public:
  absl::Time Now() const override { return now_ += absl::Seconds(30); }

 private:
  mutable absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

TEST(FineTune, SavesWithinEpochsThatTakeLong) {
  TinyJob job(examples::LabelKind::kSingleLabel, {.train = 40, .validation = 8});
  FineTuneSpec spec = TinySpec();
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix(), LeapingClock());
  EXPECT_EQ(reporter.checkpoints().size(), static_cast<size_t>(reporter.progress.back().step)) << "after each step";
  spec.save_steps = 1000;
  TinyJob told(examples::LabelKind::kSingleLabel, {.train = 40, .validation = 8});
  RecordingReporter quiet;
  FineTune(spec, told.paths(), quiet, Files::Posix(), LeapingClock());
  EXPECT_LT(quiet.checkpoints().size(), reporter.checkpoints().size()) << "a job that says when is taken at its word";
}

TEST(FineTune, CancelSavesWhereItStopped) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.save_steps = spec.eval_steps = 1000;
  RecordingReporter reporter;
  reporter.stop_after_questions = 4;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  EXPECT_TRUE(result.cancelled);
  EXPECT_FALSE(result.has_test);
  ASSERT_EQ(reporter.checkpoints().size(), 1u);
  EXPECT_EQ(reporter.checkpoints()[0].step, 4);
  EXPECT_EQ(result.best_step, 4);
  EXPECT_TRUE(FileExists(job.checkpoint(4) + "/manifest.json"));
}

TEST(FineTune, CancelledBeforeTheFirstStepSavesNothing) {
  TinyJob job;
  RecordingReporter reporter;
  reporter.stop_after_questions = 0;
  EXPECT_TRUE(FineTune(TinySpec(), job.paths(), reporter, Files::Posix()).cancelled);
  EXPECT_TRUE(reporter.checkpoints().empty());
}

TEST(FineTune, EveryBestIsOnDisk) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.eval_steps = 1;
  spec.save_steps = 1000;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  std::set<int64_t> saved;
  for (const CheckpointReport& checkpoint : reporter.checkpoints()) {
    if (checkpoint.is_best) saved.insert(checkpoint.step);
  }
  std::set<int64_t> best;
  for (const EvaluationReport& evaluation : reporter.evaluations) {
    if (evaluation.is_best) best.insert(evaluation.step);
  }
  EXPECT_EQ(saved, best);
  EXPECT_EQ(result.best_step, *best.rbegin());
  EXPECT_TRUE(FileExists(job.checkpoint(result.best_step)));
}

// The test figures are those of the best checkpoint, not of the last.
TEST(FineTune, TestsTheBestCheckpoint) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.best_metric = "loss";
  RecordingReporter reporter;
  const JobResult good = FineTune(spec, job.paths("good"), reporter, Files::Posix());
  PhaseSpec spoil = spec.phases[1];
  spoil.name = "spoil";
  spoil.n_epochs = 1;
  spoil.learning_rate = 0.9;
  spec.phases.push_back(spoil);
  const JobResult spoiled = FineTune(spec, job.paths("spoiled"), reporter, Files::Posix());
  EXPECT_EQ(spoiled.best_step, good.best_step);
  EXPECT_EQ(spoiled.test.step, good.best_step);
  EXPECT_EQ(spoiled.test.values, good.test.values);
  EXPECT_GT(reporter.evaluations.back().values.at("loss"), good.test.values.at("loss"));
}

TEST(FineTune, EarlyStoppingEndsAPhaseAndTheNextBegins) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.phases[0].n_epochs = 20;
  spec.phases[0].plateau_patience = 1;
  spec.phases[0].learning_rate = 1e-12;  // nothing improves
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  ASSERT_EQ(reporter.phases.size(), 2u);
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("phase head ends at step 12")));
  EXPECT_EQ(reporter.progress.back().step, 24);
  EXPECT_EQ(reporter.progress.back().total_steps, 24);
}

TEST(FineTune, WithoutRowsToEvaluateTheLastIsTheBest) {
  TinyJob job(examples::LabelKind::kSingleLabel, {.train = 43, .validation = 0, .test = 0});
  FineTuneSpec spec = TinySpec();
  spec.best_metric = "loss";
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  EXPECT_EQ(result.best_step, 18);
  EXPECT_FALSE(result.has_test);
  EXPECT_TRUE(reporter.evaluations.empty());
}

TEST(FineTune, OtherTasks) {
  const std::tuple<examples::LabelKind, const char*, const char*> cases[] = {{examples::LabelKind::kMultiLabel, "text-multi-label", "f1_macro"},
                                                                             {examples::LabelKind::kRegression, "text-regression", "mse"}};
  for (const auto& [kind, task, metric] : cases) {
    TinyJob job(kind, {.train = 160, .validation = 20, .test = 20});
    FineTuneSpec spec = TinySpec();
    spec.task = task;
    spec.best_metric = metric;
    spec.phases[1].learning_rate = 1e-2;
    spec.phases[1].n_epochs = 8;
    RecordingReporter reporter;
    const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
    EXPECT_EQ(result.test.values.count(metric), 1u) << task;
    EXPECT_LT(result.test.values.at("loss"), 0.8 * reporter.evaluations.front().values.at("loss")) << task;
  }
}

TEST(FineTune, ALearningRateThatDivergesIsTheUsersAndKeepsCheckpoints) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.optimizer = {.kind = OptimizerKind::kSgd, .momentum = 0.99, .max_grad_norm = 0};
  spec.phases[1].learning_rate = 1e30;
  RecordingReporter reporter;
  try {
    FineTune(spec, job.paths(), reporter, Files::Posix());
    FAIL() << "did not fail";
  } catch (const TrainingError& error) {
    EXPECT_EQ(error.category(), FailureCategory::kUser);
    EXPECT_GT(error.step(), 6);
    EXPECT_THAT(error.what(), HasSubstr("learning_rate"));
  }
  EXPECT_TRUE(FileExists(job.checkpoint(6) + "/manifest.json"));
}

TEST(FineTune, MistakesAreFoundBeforeTraining) {
  TinyJob job;
  const auto error_of = [&](const std::function<void(FineTuneSpec&)>& change) -> std::string {
    FineTuneSpec spec = TinySpec();
    change(spec);
    RecordingReporter reporter;
    try {
      FineTune(spec, job.paths(), reporter, Files::Posix());
    } catch (const std::exception& error) {
      EXPECT_TRUE(reporter.phases.empty());
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of([](FineTuneSpec& s) { s.phases[1].trainable.freeze = {"embedings.*"}; }), HasSubstr("\"embedings.*\" matches no parameter"));
  EXPECT_THAT(error_of([](FineTuneSpec& s) { s.task = "text-regression"; }), HasSubstr("does not fit the dataset's labels"));
  EXPECT_THAT(error_of([](FineTuneSpec& s) { s.task = "poetry"; }), HasSubstr("text-classification"));
  EXPECT_THAT(error_of([](FineTuneSpec& s) { s.eval_split = "vaildation"; }), HasSubstr("vaildation"));
  EXPECT_THAT(error_of([](FineTuneSpec& s) { s.max_length = 512; }), ::testing::AnyOf(std::string(), HasSubstr("positions")));
}

// Disk full -------------------------------------------------------------------------------------------------------------------------------------------------

TEST(FineTune, ADiskThatIsFullForOneCheckpointIsAWarning) {
  TinyJob job;
  FaultInjectingFiles files;
  files.Inject({.op = FileOp::kAppend, .path_contains = "step-12.tmp/model", .status = absl::ResourceExhaustedError("No space left on device")});
  RecordingReporter reporter;
  const JobResult result = FineTune(TinySpec(), job.paths(), reporter, files);
  EXPECT_FALSE(result.cancelled);
  EXPECT_THAT(reporter.log(), Contains(::testing::AllOf(HasSubstr("step-12"), HasSubstr("No space left"), HasSubstr("step 6 is kept"))));
  EXPECT_FALSE(FileExists(job.checkpoint(12)));
  EXPECT_FALSE(FileExists(job.checkpoint(12) + ".tmp"));
  EXPECT_TRUE(FileExists(job.checkpoint(18)));
}

TEST(FineTune, ALostCheckpointIsNotTheBest) {
  TinyJob job;
  RecordingReporter healthy;
  FineTuneSpec spec = TinySpec();
  spec.best_metric = "loss";
  spec.phases[1].learning_rate = 1e-3;  // the loss falls steadily
  FineTune(spec, job.paths("healthy"), healthy, Files::Posix());
  std::vector<int64_t> best;
  for (const EvaluationReport& evaluation : healthy.evaluations) {
    if (evaluation.is_best) best.push_back(evaluation.step);
  }
  ASSERT_THAT(best, ElementsAre(6, 12, 18));
  // The last but one best is lost: the run must neither load nor name it.
  FaultInjectingFiles files;
  files.Inject({.op = FileOp::kRename, .path_contains = "step-12.tmp", .status = absl::ResourceExhaustedError("No space left on device")});
  RecordingReporter reporter;
  spec.max_steps = 13;  // one step more, evaluated and not better or better: both are on disk
  const JobResult result = FineTune(spec, job.paths("lost"), reporter, files);
  EXPECT_NE(result.best_step, 12);
  EXPECT_TRUE(FileExists(job.checkpoint(result.best_step, "lost")));
}

TEST(FineTune, TheLastCheckpointMustBeWritten) {
  TinyJob job;
  FaultInjectingFiles files;
  files.Inject({.op = FileOp::kAppend, .path_contains = "step-18.tmp", .status = absl::ResourceExhaustedError("No space left on device")});
  RecordingReporter reporter;
  try {
    FineTune(TinySpec(), job.paths(), reporter, files);
    FAIL() << "did not fail";
  } catch (const TrainingError& error) {
    EXPECT_EQ(error.category(), FailureCategory::kResource);
    EXPECT_EQ(error.step(), 18);
    EXPECT_THAT(error.what(), HasSubstr("disk space"));
  }
  EXPECT_TRUE(FileExists(job.checkpoint(12) + "/manifest.json"));
}

TEST(FineTune, WithoutAnyCheckpointAFullDiskFailsAtOnce) {
  TinyJob job;
  FaultInjectingFiles files;
  files.LimitBytes(1000);
  RecordingReporter reporter;
  try {
    FineTune(TinySpec(), job.paths(), reporter, files);
    FAIL() << "did not fail";
  } catch (const TrainingError& error) {
    EXPECT_EQ(error.category(), FailureCategory::kResource);
    EXPECT_EQ(error.step(), 6);
  }
}

TEST(FineTune, CutOffWritesOfALostAttemptAreRemoved) {
  TinyJob job;
  ASSERT_TRUE(Files::Posix().CreateDirectories(job.checkpoint(3) + ".tmp").ok());
  RecordingReporter reporter;
  FineTune(TinySpec(), job.paths(), reporter, Files::Posix());
  EXPECT_FALSE(FileExists(job.checkpoint(3) + ".tmp"));
}

}  // namespace
}  // namespace attune::training
