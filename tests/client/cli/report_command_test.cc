// attune jobs report: what it asks the server for, what it writes, and what it leaves out when the server has it not.
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kJob[] = "fineTuningJobs/j1";

class ReportCommandTest : public CliTest {
 protected:
  ReportCommandTest() {
    v1::FineTuningJob& job = server_.jobs.jobs[kJob];
    job.set_name(kJob);
    job.set_display_name("my <job>");
    job.set_state(v1::FineTuningJob::STATE_SUCCEEDED);
    job.add_class_labels("cat");
    job.mutable_spec()->set_base_model("models/m");
    job.mutable_spec()->set_dataset("datasets/d");
    v1::FineTuningSpec& spec = *job.mutable_effective_spec();
    spec = job.spec();
    spec.set_task(v1::TASK_IMAGE_CLASSIFICATION);
    for (int i = 0; i < 150; ++i) spec.add_phases()->mutable_trainable()->add_freeze("p" + std::to_string(i));
    job.set_best_checkpoint("fineTuningJobs/j1/checkpoints/30");
    v1::MetricPoint& point = server_.jobs.metrics.emplace_back();
    point.set_step(1);
    (*point.mutable_values())["loss"] = 0.5;
    v1::Dataset& dataset = server_.datasets.answers.emplace_back();
    dataset.set_name("datasets/d");
    dataset.set_modality("image");
    dataset.set_digest("digest-of-the-dataset");
    v1::CheckpointEvaluation& evaluation = server_.prediction.evaluation;
    evaluation.set_dataset("datasets/d");
    evaluation.mutable_evaluation()->set_split("validation");
    evaluation.mutable_evaluation()->set_rows(9);
    (*evaluation.mutable_evaluation()->mutable_values())["accuracy"] = 0.75;
    evaluation.set_training_rows(20);
    Judge(*evaluation.add_mistakes(), 5, "valid/5.png");
    Judge(*evaluation.add_mistakes(), 2, "valid/2.png");
    Judge(*evaluation.add_suspects(), 8, "train/8.png");
  }

  // A row of the evaluation, and what PreviewRows has of it.
  void Judge(v1::JudgedRow& judged, int64_t row, const std::string& entry) {
    judged.set_row(row);
    judged.set_entry(entry);
    judged.set_filename("a.tar");
    v1::PreviewRow& preview = server_.datasets.named_rows[row];
    preview.set_entry(entry);
    preview.set_filename("a.tar");
    preview.set_thumbnail("\x89PNG" + entry);
  }

  std::string Read(const std::string& path) { return ReadFile(path, 1 << 22).value_or("(no file)"); }
  std::string PathOf(const std::string& name) { return directory_.path() + "/" + name; }
};

TEST_F(ReportCommandTest, WritesThePageAndSaysWhere) {
  const CliResult result = Run({"jobs", "report", "j1", "--output", PathOf("r.html")});
  ASSERT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("Wrote " + PathOf("r.html") + " ("), HasSubstr("open it in a browser\n"),
                                Not(HasSubstr("without"))));
  const std::string page = Read(PathOf("r.html"));
  EXPECT_THAT(page, AllOf(HasSubstr("<!DOCTYPE html>"), HasSubstr("my &lt;job&gt;"), HasSubstr("digest-of-the-dataset"),
                          HasSubstr("1.2.3")));
  EXPECT_THAT(page, HasSubstr("accuracy 0.75 on 9 validation images; best at step 30"));
  EXPECT_THAT(page, AllOf(HasSubstr("alt=\"a.tar: valid/5.png\""), HasSubstr("alt=\"a.tar: train/8.png\"")));
  ASSERT_EQ(server_.prediction.evaluate_requests.size(), 1u);
  EXPECT_EQ(server_.prediction.evaluate_requests[0].checkpoint(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_TRUE(server_.prediction.evaluate_requests[0].find_suspects());
}

TEST_F(ReportCommandTest, AsksForThePicturesOfTheRowsUntilItHasThem) {
  server_.datasets.most_named_rows = 1;
  ASSERT_EQ(Run({"jobs", "report", "j1", "--output", PathOf("r.html")}).code, kOk);
  const auto& previews = server_.datasets.previews;
  ASSERT_EQ(previews.size(), 3u);
  EXPECT_EQ(previews[0].split(), v1::SPLIT_VALIDATION);
  EXPECT_THAT(previews[0].row_indices(), ElementsAre(5, 2));
  EXPECT_THAT(previews[1].row_indices(), ElementsAre(2));
  EXPECT_EQ(previews[2].split(), v1::SPLIT_TRAIN);
  EXPECT_THAT(previews[2].row_indices(), ElementsAre(8));
  EXPECT_GT(previews[2].thumbnail_pixels(), 0);
  EXPECT_EQ(previews[2].page_size(), 0);
}

TEST_F(ReportCommandTest, APictureOfAnotherRowIsNotShown) {
  server_.datasets.named_rows[5].set_entry("other.png");
  ASSERT_EQ(Run({"jobs", "report", "j1", "--output", PathOf("r.html")}).code, kOk);
  const std::string page = Read(PathOf("r.html"));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("alt=\"a.tar: valid/5.png\"")), HasSubstr("alt=\"a.tar: valid/2.png\""),
                          HasSubstr("<small>a.tar: valid/5.png</small>")));
}

TEST_F(ReportCommandTest, AsksForPatternsInParts) {
  ASSERT_EQ(Run({"jobs", "report", "j1", "--output", PathOf("r.html")}).code, kOk);
  ASSERT_EQ(server_.models.described.size(), 2u);
  EXPECT_EQ(server_.models.described[0].patterns_size(), 100);
  EXPECT_EQ(server_.models.described[1].patterns_size(), 50);
  EXPECT_EQ(server_.models.described[1].patterns(49), "p149");
  EXPECT_EQ(server_.models.described[1].name(), "models/m");
}

TEST_F(ReportCommandTest, WithoutEvaluation) {
  const CliResult result = Run({"jobs", "report", "j1", "--no-evaluate", "--output", PathOf("r.html")});
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.out, HasSubstr("  without calibration and rows to look at: --no-evaluate was given\n"));
  EXPECT_THAT(server_.prediction.evaluate_requests, IsEmpty());
  EXPECT_THAT(server_.datasets.previews, IsEmpty());
  EXPECT_THAT(Read(PathOf("r.html")), Not(HasSubstr("id=\"examples\"")));
}

TEST_F(ReportCommandTest, WhatTheServerHasNotIsLeftOutAndSaid) {
  const auto run = [&] {
    const CliResult result = Run({"jobs", "report", "j1", "--output", PathOf("r.html")});
    EXPECT_EQ(result.code, kOk) << result.err;
    return result.out + Read(PathOf("r.html"));
  };
  server_.prediction.evaluate.Fail({grpc::StatusCode::UNIMPLEMENTED, ""});
  EXPECT_THAT(run(),
              HasSubstr("without calibration and rows to look at: the server is too old to evaluate checkpoints\n"));
  server_.prediction.evaluate.Fail(client::FakeError{grpc::StatusCode::NOT_FOUND, "the checkpoint is gone"}.ToStatus());
  EXPECT_THAT(run(), AllOf(HasSubstr("without calibration and rows to look at: the checkpoint is gone"),
                           Not(HasSubstr("id=\"calibration\""))));
  server_.datasets.preview.Fail(client::FakeError{grpc::StatusCode::NOT_FOUND, "no rows"}.ToStatus());
  EXPECT_THAT(run(),
              AllOf(HasSubstr("without pictures of rows: no rows"), HasSubstr("<small>a.tar: valid/5.png</small>")));
  server_.datasets.get.Fail(client::FakeError{grpc::StatusCode::NOT_FOUND, "datasets/d is deleted"}.ToStatus());
  EXPECT_THAT(run(), AllOf(HasSubstr("without the dataset: datasets/d is deleted"), Not(HasSubstr("id=\"dataset\""))));
  server_.models.get.Fail(client::FakeError{grpc::StatusCode::NOT_FOUND, "models/m is deleted"}.ToStatus());
  EXPECT_THAT(run(), HasSubstr("without the base model: models/m is deleted"));
  server_.jobs.jobs[kJob].clear_best_checkpoint();
  EXPECT_THAT(run(), HasSubstr("without calibration and rows to look at: the job has no checkpoint"));
  server_.jobs.jobs[kJob].set_state(v1::FineTuningJob::STATE_RUNNING);
  EXPECT_THAT(run(), HasSubstr("without calibration and rows to look at: the job has not ended"));
}

TEST_F(ReportCommandTest, FaultsThatLeaveNoPage) {
  const CliResult unknown = Run({"jobs", "report", "j2", "--output", PathOf("r.html")});
  EXPECT_EQ(unknown.code, kNotFound);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("cannot report on the job"), HasSubstr("`attune jobs list`")));
  EXPECT_FALSE(FileExists(PathOf("r.html")));
  const CliResult unwritable = Run({"jobs", "report", "j1", "--no-evaluate", "--output", PathOf("no/such/r.html")});
  EXPECT_NE(unwritable.code, kOk);
  EXPECT_THAT(unwritable.err,
              AllOf(HasSubstr("cannot write " + PathOf("no/such/r.html")), HasSubstr("--output names another file")));
}

TEST_F(ReportCommandTest, OutputIsAFileHereAndJsonGoesBeforeTheCommand) {
  const CliResult wrong = Run({"jobs", "report", "j1", "--output", "json"});
  EXPECT_EQ(wrong.code, kUsage);
  EXPECT_THAT(wrong.err, HasSubstr("attune --output json jobs report"));
  const CliResult json =
      Run({"--output", "json", "jobs", "report", "j1", "--no-evaluate", "--output", PathOf("r.html")});
  EXPECT_EQ(json.code, kOk) << json.err;
  EXPECT_THAT(json.out, AllOf(HasSubstr("\"file\": \"" + PathOf("r.html") + "\""), HasSubstr("\"leftOut\": [")));
  const CliResult page = Run({"jobs", "report", "j1", "--no-evaluate", "--output", "-"});
  EXPECT_EQ(page.code, kOk);
  EXPECT_THAT(page.out, AllOf(::testing::StartsWith("<!DOCTYPE html>"), ::testing::EndsWith("</html>\n")));
}

}  // namespace
}  // namespace attune::cli
