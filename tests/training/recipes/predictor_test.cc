#include "server/training/recipes/predictor.h"

#include <cmath>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/steps/training_error.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;

TEST(MakePrediction, SingleLabelNamesTheMostProbable) {
  const PredictionOutput output = MakePrediction({"a", "b", "c"}, false, {0.2, 0.5, 0.3}, {1, 2, 3});
  EXPECT_THAT(output.labels, ElementsAre("b"));
  EXPECT_EQ(output.scores[0], (std::pair<std::string, double>{"b", 0.5}));
  EXPECT_EQ(output.scores[2].first, "a");
  EXPECT_THAT(output.logits, ElementsAre(1, 2, 3));
}

TEST(MakePrediction, MultiLabelNamesThoseOfAtLeastAHalf) {
  EXPECT_THAT(MakePrediction({"a", "b", "c"}, true, {0.5, 0.1, 0.9}, {0, 0, 0}).labels, ElementsAre("c", "a"));
  EXPECT_THAT(MakePrediction({"a"}, true, {0.1}, {0}).labels, ElementsAre());
}

TEST(MakePrediction, RegressionIsAValue) {
  const PredictionOutput output = MakePrediction({}, false, {2.5}, {2.5f});
  EXPECT_EQ(output.value, 2.5);
  EXPECT_TRUE(output.scores.empty());
}

class PredictorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    job_ = new TinyJob(examples::LabelKind::kSingleLabel, {.train = 120, .validation = 20, .test = 20});
    FineTuneSpec spec = TinySpec();
    spec.phases[1].n_epochs = 4;
    RecordingReporter reporter;
    result_ = FineTune(spec, job_->paths(), reporter, Files::Posix());
  }
  static void TearDownTestSuite() { delete job_; }
  static TinyJob* job_;
  static JobResult result_;
};
TinyJob* PredictorTest::job_ = nullptr;
JobResult PredictorTest::result_;

TEST_F(PredictorTest, AnswersInOrderAndAsTheEvaluationDid) {
  std::vector<PredictionInput> inputs;
  std::vector<int32_t> truth;
  for (int64_t i = 140; i < 160; ++i) {  // the test split
    const examples::Example example = TinyExample(examples::LabelKind::kSingleLabel, i);
    inputs.push_back({.text = example.text});
    truth.push_back(example.labels[0]);
  }
  Predictor predictor;
  const std::vector<PredictionOutput> outputs = predictor.Predict(job_->checkpoint(result_.best_step), inputs);
  ASSERT_EQ(outputs.size(), inputs.size());
  int right = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    right += outputs[i].labels[0] == (truth[i] == 1 ? "good" : "bad");
    EXPECT_NEAR(outputs[i].scores[0].second + outputs[i].scores[1].second, 1, 1e-6);
  }
  EXPECT_DOUBLE_EQ(right / 20.0, result_.test.values.at("accuracy"));
}

TEST_F(PredictorTest, ATextDoesNotDependOnItsNeighbours) {
  Predictor predictor;
  const std::string checkpoint = job_->checkpoint(result_.best_step);
  std::vector<PredictionInput> many(70, PredictionInput{.text = "the movie was very bad bad bad"});
  many[50].text = "good";
  const auto outputs = predictor.Predict(checkpoint, many);
  const auto alone = predictor.Predict(checkpoint, {{.text = "good"}});
  for (size_t c = 0; c < 2; ++c) EXPECT_NEAR(outputs[50].logits[c], alone[0].logits[c], 1e-5);
}

TEST_F(PredictorTest, SaysWhatWasCut) {
  Predictor predictor;
  std::string text = "good";
  for (int i = 0; i < 40; ++i) text += " good";
  const auto outputs = predictor.Predict(job_->checkpoint(result_.best_step), {{.text = text}, {.text = "good"}, {.text = "good", .text_pair = "bad"}});
  EXPECT_TRUE(outputs[0].truncated);
  EXPECT_FALSE(outputs[1].truncated);
  EXPECT_NE(outputs[1].logits, outputs[2].logits);  // the pair counts
}

TEST_F(PredictorTest, MistakesAreNamed) {
  Predictor predictor;
  EXPECT_THROW(predictor.Predict("/nowhere", {{.text = "x"}}), TrainingError);
  EXPECT_THROW(predictor.Predict(job_->checkpoint(result_.best_step), {{.text = "\xff\xfe"}}), std::invalid_argument);
  EXPECT_THROW(predictor.Predict(job_->checkpoint(result_.best_step), {{.text = "x"}}, 2), std::invalid_argument);  // views of a text
  EXPECT_EQ(predictor.Predict(job_->checkpoint(result_.best_step), {{.text = "fine"}}).size(), 1u);  // and the next request works
  EXPECT_TRUE(predictor.Predict(job_->checkpoint(result_.best_step), {}).empty());
}

}  // namespace
}  // namespace attune::training
