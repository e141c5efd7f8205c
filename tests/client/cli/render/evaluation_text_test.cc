#include "client/cli/render/evaluation_text.h"

#include <google/protobuf/text_format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Style kPlain = {.colour = false, .unicode = false, .width = 0};

v1::CheckpointEvaluation Parse(const std::string& text) {
  v1::CheckpointEvaluation message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

v1::CheckpointEvaluation Evaluation() {
  return Parse(R"(
    checkpoint: "fineTuningJobs/j1/checkpoints/30" dataset: "datasets/reviews"
    evaluation {
      step: 30 split: "test" rows: 100
      values { key: "loss" value: 0.61 } values { key: "accuracy" value: 0.75 } values { key: "f1_macro" value: 0.7 } values { key: "ece" value: 0.05 }
      classes { label: "bad" precision: 0.7 recall: 0.8 f1: 0.75 support: 40 }
      classes { label: "good" precision: 0.8 recall: 0.7 f1: 0.5 support: 60 }
      confusion_matrix: 32 confusion_matrix: 8 confusion_matrix: 18 confusion_matrix: 42
    }
    calibration { lower: 0.4 upper: 0.5 }
    calibration { lower: 0.5 upper: 0.6 rows: 20 confidence: 0.55 accuracy: 0.5 }
    mistakes { row: 7 filename: "test.csv" line: 9 text: "so so\n\033[31m" labels: "good" predicted_labels: "bad" label_probability: 0.05 predicted_probability: 0.95 }
    suspects { row: 12 filename: "p.tar" entry: "good/1.jpg" labels: "good" predicted_labels: "bad" label_probability: 0.01 predicted_probability: 0.99 }
    contradicted_rows: 3 training_rows: 1000)");
}

TEST(EvaluationTextTest, Everything) {
  EXPECT_EQ(CheckpointEvaluationText(Evaluation(), kPlain),
            "fineTuningJobs/j1/checkpoints/30 on datasets/reviews\n"
            "Evaluation on test (100 rows, step 30)\n"
            "  accuracy 0.75  F1 0.7  loss 0.61  ECE 0.05\n"
            "\n"
            "CLASS  PRECISION  RECALL    F1  ROWS\n"
            "bad          0.7     0.8  0.75    40  ###############\n"
            "good         0.8     0.7   0.5    60  ##########\n"
            "\n"
            "TRUE \\ PREDICTED  bad  good\n"
            "bad                32     8\n"
            "good               18    42\n"
            "\n"
            "Calibration: how sure, and how often right\n"
            "CONFIDENCE        ROWS    MEAN   RIGHT\n"
            "50.0 % to 60.0 %    20  55.0 %  50.0 %  ##########\n"
            "\n"
            "Mistakes that it is surest of\n"
            "ROW  WHERE       LABEL       PREDICTED   TEXT\n"
            "  7  test.csv:9  good 5.0 %  bad 95.0 %  so so  [31m\n"
            "\n"
            "Suspects: 3 of 1,000 training rows have a label that the checkpoint contradicts\n"
            "ROW  WHERE             LABEL       PREDICTED\n"
            " 12  p.tar good/1.jpg  good 1.0 %  bad 99.0 %\n");
}

TEST(EvaluationTextTest, NoSuspectsIsSaidWhereTheyWereLookedFor) {
  v1::CheckpointEvaluation evaluation = Evaluation();
  evaluation.clear_suspects();
  EXPECT_THAT(CheckpointEvaluationText(evaluation, kPlain), HasSubstr("\nNone of 1,000 training rows has a label that the checkpoint contradicts\n"));
  evaluation.set_training_rows(0);
  EXPECT_THAT(CheckpointEvaluationText(evaluation, kPlain), Not(HasSubstr("training rows")));
}

TEST(EvaluationTextTest, Regression) {
  const std::string text = CheckpointEvaluationText(Parse(R"(
    evaluation { split: "test" rows: 4 values { key: "mse" value: 0.25 } values { key: "mae" value: 0.5 } }
    mistakes { row: 2 filename: "a.csv" line: 4 text: "x" value: 1.5 predicted_value: -1 }
    suspects { row: 1 filename: "a.csv" line: 3 text: "y" value: 2 predicted_value: 0.5 }
    training_rows: 9)"), kPlain);
  EXPECT_THAT(text, HasSubstr("MSE 0.25  MAE 0.5"));
  EXPECT_THAT(text, HasSubstr("Largest errors\nROW  WHERE    VALUE  PREDICTED  TEXT\n  2  a.csv:4  1.5    -1         x\n"));
  EXPECT_THAT(text, HasSubstr("Suspects: largest errors of 9 training rows\n"));
}

TEST(EvaluationTextTest, OfManyClassesTheCommonestConfusions) {
  v1::CheckpointEvaluation evaluation;
  constexpr int kClasses = 12;
  for (int i = 0; i < kClasses; ++i) evaluation.mutable_evaluation()->add_classes()->set_label(StrCat("c", i));
  for (int i = 0; i < kClasses * kClasses; ++i) evaluation.mutable_evaluation()->add_confusion_matrix(i / kClasses == i % kClasses ? 99 : 0);
  EXPECT_THAT(CheckpointEvaluationText(evaluation, kPlain), Not(HasSubstr("confusions"))) << "there are none";
  evaluation.mutable_evaluation()->set_confusion_matrix(3 * kClasses + 11, 5);
  evaluation.mutable_evaluation()->set_confusion_matrix(0 * kClasses + 2, 7);
  EXPECT_THAT(CheckpointEvaluationText(evaluation, kPlain), HasSubstr("Commonest confusions\nTRUE  PREDICTED  ROWS\nc0    c2            7\nc3    c11           5\n"));
}

}  // namespace
}  // namespace attune::cli
