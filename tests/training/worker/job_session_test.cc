#include "server/training/worker/job_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/worker/torch_runtime.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

TEST(RunAttempt, TrainsAndAnswers) {
  TinyJob job;
  RecordingReporter reporter;
  const AttemptOutcome outcome = RunAttempt(TinySpec(), job.paths(), reporter, Files::Posix());
  ASSERT_FALSE(outcome.failure.has_value()) << outcome.failure->message;
  EXPECT_EQ(reporter.last_step, 18);
  PredictionSession session;
  const PredictionOutcome prediction = session.Predict(job.checkpoint(outcome.result.best_step), {{"good", ""}});
  ASSERT_FALSE(prediction.failure.has_value());
  EXPECT_EQ(prediction.outputs.size(), 1u);
}

struct Mistake {
  const char* name;
  std::function<void(FineTuneSpec&, JobPaths&)> change;
  FailureCategory category;
  const char* words;
};

TEST(RunAttempt, MistakesComeBackWithTheirCategory) {
  TinyJob job;
  const Mistake rows[] = {
      {"device", [](FineTuneSpec& s, JobPaths&) { s.device = "gpu"; }, FailureCategory::kUser, "gpu"},
      {"no such device", [](FineTuneSpec& s, JobPaths&) { s.device = "cuda:99"; }, FailureCategory::kResource, "cuda:99"},
      {"pattern", [](FineTuneSpec& s, JobPaths&) { s.phases[0].trainable.freeze = {"nothing*"}; }, FailureCategory::kUser, "nothing*"},
      {"no epochs", [](FineTuneSpec& s, JobPaths&) { s.phases[0].n_epochs = 0; }, FailureCategory::kUser, "n_epochs"},
      {"metric", [](FineTuneSpec& s, JobPaths&) { s.best_metric = "acuracy"; }, FailureCategory::kUser, "accuracy"},
      {"no model", [](FineTuneSpec&, JobPaths& p) { p.model_dir = "/nowhere"; }, FailureCategory::kSystem, "/nowhere"},
      {"no dataset", [](FineTuneSpec&, JobPaths& p) { p.dataset_dir = "/nowhere"; }, FailureCategory::kSystem, "/nowhere"},
      {"not a checkpoint", [](FineTuneSpec&, JobPaths& p) { p.resume_dir = p.model_dir; }, FailureCategory::kData, "no tensor"},
  };
  for (const Mistake& row : rows) {
    FineTuneSpec spec = TinySpec();
    JobPaths paths = job.paths(row.name);
    row.change(spec, paths);
    RecordingReporter reporter;
    const AttemptOutcome outcome = RunAttempt(spec, paths, reporter, Files::Posix());
    ASSERT_TRUE(outcome.failure.has_value()) << row.name;
    EXPECT_EQ(outcome.failure->category, row.category) << row.name << ": " << outcome.failure->message;
    EXPECT_THAT(outcome.failure->message, HasSubstr(row.words)) << row.name;
  }
}

TEST(PredictionSession, FailuresComeBack) {
  PredictionSession session;
  const PredictionOutcome outcome = session.Predict("/nowhere", {{"x", ""}});
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_THAT(outcome.failure->message, HasSubstr("/nowhere"));
}

TEST(TorchRuntime, WarmsUp) { WarmUp(); }

}  // namespace
}  // namespace attune::training
