#include "server/training/recipes/evaluator.h"

#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/predictor.h"
#include "server/training/steps/training_error.h"
#include "tests/training/tiny_image_job.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Watched {
  std::vector<std::pair<int64_t, int64_t>> progress;
  int stop_after = -1;  // questions; never when negative
  EvaluationControl control() {
    return {.progress = [this](int64_t done, int64_t total) { progress.emplace_back(done, total); },
            .stop_requested = [this] { return stop_after >= 0 && stop_after-- == 0; }};
  }
};

// Copies a dataset, and gives the training rows `wrong` the label after their own.
void Mislabel(const std::string& from, const std::string& to, const std::set<int64_t>& wrong) {
  const auto reader = examples::ExampleReader::Open(from);
  ASSERT_TRUE(reader.ok());
  auto writer = examples::ExampleWriter::Create(Files::Posix(), to);
  ASSERT_TRUE(writer.ok());
  const auto classes = static_cast<int32_t>((*reader)->manifest().labels.size());
  for (examples::Split split : {examples::Split::kTrain, examples::Split::kValidation, examples::Split::kTest}) {
    for (int64_t row = 0; row < (*reader)->size(split); ++row) {
      auto example = (*reader)->Get(split, row);
      ASSERT_TRUE(example.ok());
      if (split == examples::Split::kTrain && wrong.count(row) > 0) example->labels[0] = (example->labels[0] + 1) % classes;
      ASSERT_TRUE((*writer)->Add(split, *example).ok());
    }
  }
  examples::DatasetManifest manifest = (*reader)->manifest();
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
}

std::set<int64_t> RowsOf(const std::vector<JudgedRow>& rows) {
  std::set<int64_t> out;
  for (const JudgedRow& row : rows) out.insert(row.row);
  return out;
}

class TextEvaluationTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    job_ = new TinyJob(examples::LabelKind::kSingleLabel, {.train = 120, .validation = 20, .test = 30});
    FineTuneSpec spec = TinySpec();
    spec.phases[1].n_epochs = 4;
    RecordingReporter reporter;
    result_ = FineTune(spec, job_->paths(), reporter, Files::Posix());
    Mislabel(job_->paths().dataset_dir, job_->paths("mislabelled").output_dir, kWrong);
  }
  static void TearDownTestSuite() { delete job_; }
  static EvaluationRequest Request() { return {.checkpoint_dir = job_->checkpoint(result_.best_step), .dataset_dir = job_->paths().dataset_dir}; }
  static EvaluationOutput Evaluate(const EvaluationRequest& request) {
    Watched watched;
    auto output = EvaluateCheckpoint(request, watched.control());
    EXPECT_TRUE(output.has_value());
    return output.value_or(EvaluationOutput());
  }
  static std::string FaultOf(const EvaluationRequest& request) {
    try {
      Evaluate(request);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }

  static inline const std::set<int64_t> kWrong = {3, 40, 41, 77, 119};
  static TinyJob* job_;
  static JobResult result_;
};
TinyJob* TextEvaluationTest::job_ = nullptr;
JobResult TextEvaluationTest::result_;

TEST_F(TextEvaluationTest, SaysWhatTheJobsOwnEvaluationSaid) {
  const EvaluationOutput output = Evaluate(Request());
  EXPECT_EQ(output.figures.split, "test");
  EXPECT_EQ(output.figures.rows, 30);
  ASSERT_EQ(output.figures.values.size(), result_.test.values.size());
  for (const auto& [name, value] : result_.test.values) EXPECT_NEAR(output.figures.values.at(name), value, 1e-5) << name;
  EXPECT_EQ(output.figures.confusion, result_.test.confusion);
  ASSERT_EQ(output.calibration.size(), 15u);
  int64_t rows = 0;
  for (const CalibrationBin& bin : output.calibration) rows += bin.rows;
  EXPECT_EQ(rows, 30);
  EXPECT_TRUE(output.suspects.empty());
  EXPECT_EQ(output.training_rows, 0);
}

TEST_F(TextEvaluationTest, BatchesMakeNoDifference) {
  EvaluationRequest request = Request();
  const EvaluationOutput one = Evaluate(request);
  request.batch_size = 7;
  const EvaluationOutput other = Evaluate(request);
  for (const auto& [name, value] : one.figures.values) EXPECT_NEAR(other.figures.values.at(name), value, 1e-5) << name;
}

TEST_F(TextEvaluationTest, EverySplitCanBeAsked) {
  EvaluationRequest request = Request();
  for (const auto& [split, rows] : {std::pair("train", 120), std::pair("validation", 20), std::pair("test", 30)}) {
    request.split = split;
    const EvaluationOutput output = Evaluate(request);
    EXPECT_EQ(output.figures.split, split);
    EXPECT_EQ(output.figures.rows, rows);
  }
}

TEST_F(TextEvaluationTest, PlantedWrongLabelsAreTheFirstSuspects) {
  EvaluationRequest request = Request();
  request.dataset_dir = job_->paths("mislabelled").output_dir;
  request.suspects = static_cast<int64_t>(kWrong.size());
  Watched watched;
  const auto output = EvaluateCheckpoint(request, watched.control());
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(RowsOf(output->suspects), kWrong);
  EXPECT_GE(output->contradicted_rows, 5);
  EXPECT_EQ(output->training_rows, 120);
  EXPECT_EQ(output->figures.rows, 30) << "suspects do not count among the figures";
  for (size_t i = 0; i < output->suspects.size(); ++i) {
    const JudgedRow& suspect = output->suspects[i];
    EXPECT_EQ(suspect.filename, "tiny.csv");
    EXPECT_EQ(suspect.line, suspect.row + 2);
    EXPECT_EQ(suspect.text, TinyExample(examples::LabelKind::kSingleLabel, suspect.row).text);
    ASSERT_EQ(suspect.labels.size(), 1u);
    EXPECT_NE(suspect.labels, suspect.predicted_labels);
    EXPECT_NEAR(suspect.margin, suspect.label_probability - suspect.predicted_probability, 1e-9) << "of two classes";
    EXPECT_NEAR(suspect.loss, -std::log(suspect.label_probability), 1e-6);
    if (i > 0) {
      EXPECT_LE(output->suspects[i - 1].margin, suspect.margin);
    }
  }
  EXPECT_EQ(watched.progress.front(), (std::pair<int64_t, int64_t>(0, 150)));
  EXPECT_EQ(watched.progress.back(), (std::pair<int64_t, int64_t>(150, 150)));
}

TEST_F(TextEvaluationTest, OnTheTrainingSplitOnePassGivesBoth) {
  EvaluationRequest request = Request();
  request.dataset_dir = job_->paths("mislabelled").output_dir;
  request.split = "train";
  request.suspects = 5;
  Watched watched;
  const auto output = EvaluateCheckpoint(request, watched.control());
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(watched.progress.back(), (std::pair<int64_t, int64_t>(120, 120)));
  EXPECT_EQ(RowsOf(output->suspects), kWrong);
  EXPECT_GE(RowsOf(output->mistakes).size(), kWrong.size());
  for (size_t i = 1; i < output->mistakes.size(); ++i) EXPECT_GE(output->mistakes[i - 1].predicted_probability, output->mistakes[i].predicted_probability);
}

TEST_F(TextEvaluationTest, TextsAreCutAfter200Characters) {
  const std::string directory = job_->paths("long").output_dir;
  auto writer = examples::ExampleWriter::Create(Files::Posix(), directory);
  ASSERT_TRUE(writer.ok());
  examples::Example example;
  for (int i = 0; i < 300; ++i) example.text += "\xc3\xa9";
  for (int32_t label : {0, 1}) {
    example.labels = {label};
    ASSERT_TRUE((*writer)->Add(examples::Split::kTest, example).ok());
  }
  examples::DatasetManifest manifest;
  manifest.labels = {"bad", "good"};
  manifest.filenames = {"long.csv"};
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
  EvaluationRequest request = Request();
  request.dataset_dir = directory;
  const EvaluationOutput output = Evaluate(request);
  ASSERT_EQ(output.mistakes.size(), 1u) << "one of the two labels must be wrong";
  EXPECT_EQ(output.mistakes[0].text.size(), 400u) << "200 characters of two bytes";
}

TEST_F(TextEvaluationTest, StopsWhenAskedTo) {
  for (int questions : {0, 2}) {
    EvaluationRequest request = Request();
    request.batch_size = 8;
    Watched watched;
    watched.stop_after = questions;
    EXPECT_FALSE(EvaluateCheckpoint(request, watched.control()).has_value());
    EXPECT_EQ(watched.progress.size(), 1u + questions);
  }
}

TEST_F(TextEvaluationTest, ADatasetOfAnotherKindIsRefused) {
  EvaluationRequest request = Request();
  request.split = "dev";
  EXPECT_THAT(FaultOf(request), HasSubstr("split \"dev\""));
  request.split = "";
  request.dataset_dir = job_->paths("values").output_dir;
  WriteTinyDataset(request.dataset_dir, examples::LabelKind::kRegression);
  EXPECT_THAT(FaultOf(request), HasSubstr("labels are of another kind"));
  request.dataset_dir = job_->paths("images").output_dir;
  WriteTinyImages(request.dataset_dir);
  EXPECT_THAT(FaultOf(request), HasSubstr("the checkpoint takes texts, and the dataset holds images"));
  request.dataset_dir = "/nowhere";
  EXPECT_THROW(Evaluate(request), TrainingError);
  request = Request();
  request.checkpoint_dir = "/nowhere";
  EXPECT_THROW(Evaluate(request), TrainingError);
}

TEST_F(TextEvaluationTest, TheFirstClassThatDiffersIsNamed) {
  const auto with_labels = [](const std::string& directory, const std::vector<std::string>& labels) {
    auto writer = examples::ExampleWriter::Create(Files::Posix(), directory);
    examples::Example example;
    example.text = "x";
    example.labels = {0};
    ASSERT_TRUE((*writer)->Add(examples::Split::kTest, example).ok());
    examples::DatasetManifest manifest;
    manifest.labels = labels;
    manifest.filenames = {"x.csv"};
    ASSERT_TRUE((*writer)->Finish(manifest).ok());
  };
  EvaluationRequest request = Request();
  request.dataset_dir = job_->paths("fine").output_dir;
  with_labels(request.dataset_dir, {"bad", "fine"});
  EXPECT_THAT(FaultOf(request), HasSubstr("class 2 is \"fine\" in the dataset and \"good\" in the checkpoint"));
  request.dataset_dir = job_->paths("more").output_dir;
  with_labels(request.dataset_dir, {"bad", "good", "more"});
  EXPECT_THAT(FaultOf(request), HasSubstr("class 3 is \"more\" in the dataset and none in the checkpoint"));
  request.dataset_dir = job_->paths("same").output_dir;
  with_labels(request.dataset_dir, {"bad", "good"});
  EXPECT_EQ(FaultOf(request), "");
  request.split = "validation";
  EXPECT_THAT(FaultOf(request), HasSubstr("no validation rows"));
}

TEST(ImageEvaluation, PlantedWrongLabelsAreTheFirstSuspects) {
  const std::set<int64_t> wrong = {2, 31, 58, 59};
  TinyImageJob job({.train = 90, .validation = 12, .test = 21});
  RecordingReporter reporter;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases[1].n_epochs = 6;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  ASSERT_GT(result.test.values.at("accuracy"), 0.9) << "the checkpoint knows colours, so labels can be doubted";
  EvaluationRequest request = {.checkpoint_dir = job.checkpoint(result.best_step), .dataset_dir = job.paths("mislabelled").output_dir, .suspects = 4};
  Mislabel(job.paths().dataset_dir, request.dataset_dir, wrong);
  Watched watched;
  const auto output = EvaluateCheckpoint(request, watched.control());
  ASSERT_TRUE(output.has_value());
  for (const auto& [name, value] : result.test.values) EXPECT_NEAR(output->figures.values.at(name), value, 1e-4) << name;
  EXPECT_EQ(RowsOf(output->suspects), wrong);
  for (const JudgedRow& suspect : output->suspects) {
    EXPECT_EQ(suspect.filename, "photos.tar");
    EXPECT_EQ(suspect.entry, absl::StrCat("photos/", suspect.row, ".ppm"));
    EXPECT_EQ(suspect.line, 0);
    EXPECT_EQ(suspect.text, "");
    Predictor predictor;
    const auto predicted = predictor.Predict(request.checkpoint_dir, {{.image = TinyImage(suspect.row)}});
    EXPECT_EQ(predicted[0].labels, suspect.predicted_labels);
    EXPECT_NEAR(predicted[0].scores[0].second, suspect.predicted_probability, 1e-4);
  }
}

TEST(OtherEvaluations, RegressionNamesTheLargestErrors) {
  TinyJob job(examples::LabelKind::kRegression);
  FineTuneSpec spec = TinySpec();
  spec.task = "text-regression";
  spec.best_metric = "mse";
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  Watched watched;
  const auto output = EvaluateCheckpoint({.checkpoint_dir = job.checkpoint(result.best_step), .dataset_dir = job.paths().dataset_dir, .suspects = 3, .mistakes = 2},
                                         watched.control());
  ASSERT_TRUE(output.has_value());
  EXPECT_NEAR(output->figures.values.at("mae"), result.test.values.at("mae"), 1e-5);
  EXPECT_EQ(output->figures.values.count("ece"), 0u);
  EXPECT_TRUE(output->calibration.empty());
  ASSERT_EQ(output->mistakes.size(), 2u);
  ASSERT_EQ(output->suspects.size(), 3u);
  EXPECT_EQ(output->contradicted_rows, 0);
  EXPECT_GE(output->suspects[0].loss, output->suspects[1].loss);
  const JudgedRow& worst = output->suspects[0];
  EXPECT_TRUE(worst.labels.empty());
  EXPECT_EQ(std::abs(worst.value), 1.5);
  EXPECT_NEAR((worst.predicted_value - worst.value) * (worst.predicted_value - worst.value), worst.loss, 1e-9);
}

TEST(OtherEvaluations, MultiLabelLooksAtTheClassThatIsMostInDispute) {
  TinyJob job(examples::LabelKind::kMultiLabel);
  FineTuneSpec spec = TinySpec();
  spec.task = "text-multi-label";
  spec.best_metric = "f1_macro";
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  Watched watched;
  const auto output =
      EvaluateCheckpoint({.checkpoint_dir = job.checkpoint(result.best_step), .dataset_dir = job.paths().dataset_dir, .suspects = 43}, watched.control());
  ASSERT_TRUE(output.has_value());
  int64_t decisions = 0;
  for (const CalibrationBin& bin : output->calibration) decisions += bin.rows;
  EXPECT_EQ(decisions, 20 * 3);
  EXPECT_EQ(output->figures.values.count("ece"), 1u);
  EXPECT_EQ(output->contradicted_rows, static_cast<int64_t>(output->suspects.size()));
  for (const JudgedRow& suspect : output->suspects) {
    EXPECT_NE(suspect.labels, suspect.predicted_labels);
    EXPECT_LE(suspect.label_probability, 0.5);
    EXPECT_NEAR(suspect.label_probability + suspect.predicted_probability, 1, 1e-9);
  }
}

}  // namespace
}  // namespace attune::training
