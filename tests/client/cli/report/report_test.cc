// Whole pages of all kinds of jobs, and the parts of a page that depend on the kind.
#include "client/cli/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "absl/strings/str_split.h"
#include "client/cli/report/curves.h"
#include "client/cli/report/figures.h"
#include "client/cli/report/spec_section.h"
#include "client/cli/report/summary.h"
#include "server/base/str_cat.h"
#include "tests/client/cli/report/page_checker.h"
#include "tests/client/cli/report/sample_data.h"

namespace attune::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string Page(const ReportData& data) {
  const std::string page = ReportPage(data);
  EXPECT_THAT(FaultsOf(page), IsEmpty());
  EXPECT_THAT(page, AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https"))));
  return page;
}

// Puts a hostile text into every string of a message, its maps and inner messages.
void Poison(google::protobuf::Message* message, const std::string& poison) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    // Keys by which parts of a page find each other.
    if (field->name() == "values" || field->name() == "label_counts" || field->name() == "thumbnail") continue;
    for (int i = 0; i < (field->is_repeated() ? reflection.FieldSize(*message, field) : 1); ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Poison(field->is_repeated() ? reflection.MutableRepeatedMessage(message, field, i)
                                    : reflection.MutableMessage(message, field),
               poison);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && field->is_repeated()) {
        reflection.SetRepeatedString(message, field, i, reflection.GetRepeatedString(*message, field, i) + poison);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        reflection.SetString(message, field, reflection.GetString(*message, field) + poison);
      }
    }
  }
}

TEST(ReportTest, AFinishedJobHasEveryPart) {
  const std::string page = Page(SampleData());
  for (const char* id : {"curves", "classes", "confusion", "calibration", "examples", "layers", "settings", "dataset",
                         "environment", "warnings"})
    EXPECT_THAT(page, HasSubstr(StrCat("<section id=\"", id, "\">")));
  EXPECT_THAT(page, HasSubstr("<p class=\"result\">accuracy 0.846 on 372 test images; best at step 120</p>"));
  EXPECT_THAT(page, AllOf(HasSubstr("model-digest"), HasSubstr("dataset-digest"), HasSubstr("1.2.3, LibTorch 2.11.0"),
                          HasSubstr("cuda:0, A GPU"), HasSubstr("1 min 52 s")));
  EXPECT_THAT(page, AllOf(HasSubstr("warning: 3 images are grey"), HasSubstr("a class has fewer than 8 rows"),
                          Not(HasSubstr("all is well"))));
  EXPECT_THAT(page, AllOf(HasSubstr("pets.tar: test/cat/7.jpg"), HasSubstr("data:image/png;base64,iVBORyBtaXN0YWtl"),
                          HasSubstr("data:image/png;base64,iVBORyBzdXNwZWN0")));
  EXPECT_THAT(page, HasSubstr("31 of 900 training rows are contradicted."));
  EXPECT_THAT(page, HasSubstr("the confidence is 3.5 % off"));
  EXPECT_THAT(page, AllOf(HasSubstr("pets.tar: train/cat/x.jpg"), HasSubstr("is cut short")));
  EXPECT_THAT(page, Not(HasSubstr("Not in this report")));
}

TEST(ReportTest, NoTextFromDataBecomesMarkup) {
  for (const std::string& poison :
       {std::string("</td></section></style></title><script>alert(1)</script>"),
        std::string("\" onload=\"alert(1)\" x='"), std::string("<img src=x onerror=alert(1)>"),
        std::string("\xff\x00\x1b]--> ]]> </svg>", 17)}) {
    ReportData data = SampleData();
    for (google::protobuf::Message* message : std::initializer_list<google::protobuf::Message*>{
             &data.job, &*data.dataset, &*data.model, &*data.layers, &*data.server, &*data.evaluation})
      Poison(message, poison);
    for (v1::JobEvent& event : data.events) Poison(&event, poison);
    for (v1::MetricPoint& point : data.metrics) {
      Poison(&point, poison);
      (*point.mutable_values())["eval_" + poison] = 0.5;
    }
    for (v1::Checkpoint& checkpoint : data.checkpoints) Poison(&checkpoint, poison);
    for (v1::Device& device : data.devices) Poison(&device, poison);
    data.evaluation->mutable_mistakes(0)->set_text("a text " + poison);
    (*data.job.mutable_labels())[poison] = poison;
    data.job.mutable_error()->set_message(poison);
    data.left_out = {poison};
    const std::string page = ReportPage(data);
    EXPECT_THAT(FaultsOf(page), IsEmpty()) << poison;
    EXPECT_THAT(page, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<img src=x")), Not(HasSubstr("\" onload=\""))));
    EXPECT_EQ(page.find('\0'), std::string::npos);
  }
}

TEST(ReportTest, AnEmptyJobIsAPage) {
  ReportData data;
  data.now = absl::FromUnixSeconds(1'800'000'000);
  const std::string page = Page(data);
  EXPECT_THAT(page, AllOf(HasSubstr("No metrics were recorded yet."), HasSubstr("The log has no warnings."),
                          HasSubstr("The job has no checkpoint.")));
}

TEST(ReportTest, WhatIsMissingIsSaid) {
  ReportData data = SampleData();
  data.dataset.reset();
  data.model.reset();
  data.layers.reset();
  data.evaluation.reset();
  data.left_out = {"the dataset: datasets/d does not exist"};
  const std::string page = Page(data);
  EXPECT_THAT(page, AllOf(HasSubstr("Not in this report:<ul><li>the dataset: datasets/d does not exist</li>"),
                          HasSubstr("The base model&#39;s layers could not be had.")));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("id=\"dataset\"")), Not(HasSubstr("id=\"examples\"")),
                          Not(HasSubstr("id=\"calibration\"")), HasSubstr("id=\"confusion\"")));
  EXPECT_THAT(page, HasSubstr("on 372 test images")) << "the task says what rows are";
}

TEST(ReportTest, ARunningJobSaysHowFarItIs) {
  ReportData data = SampleData();
  data.job.set_state(v1::FineTuningJob::STATE_RUNNING);
  data.job.clear_test_evaluation();
  data.job.clear_end_time();
  data.job.mutable_progress()->set_step(60);
  data.evaluation.reset();
  EXPECT_EQ(ResultSentence(data),
            "running: step 60 of 120, training loss 0.3; accuracy 0.8 on 90 validation images; best at step 120");
  data.events.clear();
  data.job.clear_best_checkpoint();
  EXPECT_EQ(ResultSentence(data), "running: step 60 of 120, training loss 0.3");
  EXPECT_THAT(Page(data), HasSubstr("15 min 00 s")) << "until now";
  data.job.set_state(v1::FineTuningJob::STATE_QUEUED);
  data.job.clear_progress();
  data.metrics.clear();
  EXPECT_EQ(ResultSentence(data), "queued: no step done yet");
  Page(data);
}

TEST(ReportTest, AFailedJobSaysWhy) {
  ReportData data;
  data.job = SampleJob();
  data.job.clear_test_evaluation();
  data.job.set_state(v1::FineTuningJob::STATE_FAILED);
  data.job.mutable_error()->set_message("the loss is not finite");
  v1::FailureInfo info;
  info.set_category(v1::FailureInfo::CATEGORY_USER);
  info.set_step(31);
  info.add_log_tail("last <words>");
  data.job.mutable_error()->add_details()->PackFrom(info);
  EXPECT_EQ(ResultSentence(data), "failed after 120 steps: the loss is not finite");
  EXPECT_THAT(Page(data), AllOf(HasSubstr("<pre class=\"error\">"), HasSubstr("last &lt;words&gt;")));
}

TEST(ReportTest, AJobWithoutValidationAndTest) {
  ReportData data = SampleData();
  data.job.clear_test_evaluation();
  data.evaluation.reset();
  data.metrics.clear();
  for (int step = 1; step <= 5; ++step) data.metrics.push_back(Point(step, "all", {{"loss", 1.0 / step}}));
  data.events.clear();
  EXPECT_EQ(ResultSentence(data), "finished, and nothing was evaluated; last training loss 0.3");
  EXPECT_THAT(Page(data), AllOf(HasSubstr("Nothing was evaluated while training."), Not(HasSubstr("id=\"classes\"")),
                                Not(HasSubstr("<b>Validation</b>"))));
}

TEST(ReportTest, MultiLabelHasClassesAndNoMatrix) {
  ReportData data = SampleData();
  data.job.mutable_effective_spec()->set_task(v1::TASK_TEXT_MULTI_LABEL);
  data.job.mutable_effective_spec()->mutable_evaluation()->set_metric_for_best_model("f1_macro");
  data.dataset->set_modality("text");
  data.dataset->set_label_kind(v1::LABEL_KIND_MULTI_LABEL);
  data.job.mutable_test_evaluation()->clear_confusion_matrix();
  data.job.mutable_test_evaluation()->mutable_values()->clear();
  (*data.job.mutable_test_evaluation()->mutable_values())["f1_macro"] = 0.7;
  v1::JudgedRow& row = *data.evaluation->mutable_mistakes(0);
  row = Parse<v1::JudgedRow>(
      R"(row: 1 filename: "a.csv" line: 12 text: "a text" labels: "cat" labels: "dog" predicted_probability: 0.9 label_probability: 0.1)");
  const std::string page = Page(data);
  EXPECT_EQ(ResultSentence(data), "macro F1 0.7 on 372 test texts; best at step 120");
  EXPECT_THAT(page, AllOf(HasSubstr("id=\"classes\""), Not(HasSubstr("id=\"confusion\""))));
  EXPECT_THAT(page, AllOf(HasSubstr("<blockquote>a text</blockquote>"), HasSubstr("a.csv, line 12"),
                          HasSubstr("cat, dog</b> (10.0 %)"), HasSubstr("no class</b> (90.0 %)")));
}

TEST(ReportTest, RegressionHasErrorsInsteadOfClasses) {
  ReportData data = SampleData();
  data.job.mutable_effective_spec()->set_task(v1::TASK_TEXT_REGRESSION);
  data.job.mutable_effective_spec()->mutable_evaluation()->set_metric_for_best_model("mse");
  data.dataset->set_modality("text");
  data.dataset->set_label_kind(v1::LABEL_KIND_REGRESSION);
  data.dataset->clear_labels();
  data.job.clear_class_labels();
  *data.job.mutable_test_evaluation() = Parse<v1::Evaluation>(
      R"(split: "test" rows: 50 values { key: "mse" value: 1.25 } values { key: "pearson" value: 0.9 })");
  data.evaluation->clear_calibration();
  *data.evaluation->mutable_mistakes(0) =
      Parse<v1::JudgedRow>(R"(row: 1 filename: "a.csv" line: 2 text: "long" value: 4.5 predicted_value: 1.25)");
  data.metrics = {Point(1, "all", {{"loss", 1}}), Point(1, "all", {{"eval_mse", 0.5}, {"eval_pearson", 0.4}})};
  const std::string page = Page(data);
  EXPECT_EQ(ResultSentence(data), "mean squared error 1.25 on 50 test texts; best at step 120");
  EXPECT_THAT(page, AllOf(HasSubstr("Largest errors"), HasSubstr("<b class=\"label\">4.5</b>"),
                          HasSubstr("<b class=\"predicted\">1.25</b>")));
  EXPECT_THAT(
      page, AllOf(HasSubstr("Validation mse"), Not(HasSubstr("id=\"classes\"")), Not(HasSubstr("id=\"calibration\""))));
}

TEST(ReportTest, StaysSmall) {
  ReportData data = SampleData();
  data.metrics.clear();
  for (int step = 1; step <= 10'000; ++step)
    data.metrics.push_back(Point(step, step < 5000 ? "head" : "top",
                                 {{"loss", 1.0 / step + step % 7},
                                  {"learning_rate", 1.0 / step},
                                  {"samples_per_second", step % 91},
                                  {"input_wait", 0.5}}));
  for (int i = 0; i < 1000; ++i) {
    data.events.push_back(Parse<v1::JobEvent>(R"(level: LEVEL_WARNING message: "once more")"));
    data.dataset->add_labels(StrCat("label ", i));
    data.job.mutable_test_evaluation()->add_classes()->set_label(StrCat("label ", i));
  }
  v1::Evaluation& test = *data.job.mutable_test_evaluation();
  test.mutable_confusion_matrix()->Resize(test.classes_size() * test.classes_size(), 3);
  data.evaluation->clear_mistakes();
  for (int i = 0; i < 100; ++i) {
    v1::JudgedRow& row = *data.evaluation->add_mistakes();
    row.set_row(i);
    row.set_text(std::string(10'000, 'x'));
    data.mistake_pictures[i] = std::string(60'000, 'p');
  }
  const std::string page = Page(data);
  EXPECT_LT(page.size(), 2'000'000u);
  EXPECT_THAT(page, AllOf(HasSubstr("4 pictures were left out to keep this page small."),
                          HasSubstr("The last 100 of 1,002 warnings."), HasSubstr("and 902 more classes"),
                          HasSubstr("The 40 classes that are confused most of 1,002.")));
}

TEST(CurvesTest, AResumedAttemptReplacesWhatItDoesAgain) {
  std::vector<v1::MetricPoint> points;
  for (int step = 1; step <= 6; ++step) points.push_back(Point(step, step <= 4 ? "head" : "all", {{"loss", step}}));
  for (int step = 4; step <= 5; ++step) points.push_back(Point(step, "head", {{"loss", 10.0 * step}}));
  const Curve curve = MetricCurve(points, "loss");
  ASSERT_EQ(curve.size(), 5u);
  EXPECT_EQ(curve[2].y, 3);
  EXPECT_EQ(curve[3].y, 40);
  EXPECT_EQ(curve[4].y, 50);
  EXPECT_THAT(MetricCurve(points, "none"), IsEmpty());
  ASSERT_EQ(PhaseMarks(points).size(), 1u) << "the second phase has not begun again";
  EXPECT_EQ(PhaseMarks(points)[0].name, "head");
  points.push_back(Point(6, "all", {}));
  EXPECT_EQ(PhaseMarks(points).back().x, 6);
}

TEST(CurvesTest, SmoothedWithinEachPhase) {
  ReportData data;
  for (int step = 1; step <= 200; ++step)
    data.metrics.push_back(Point(step, step <= 100 ? "a" : "b", {{"loss", step <= 100 ? 1.0 : 5.0}}));
  const std::string page = CurvesSection(data).text();
  // No point of the smoothed line lies between the two levels: the line has two heights.
  const size_t begin = page.find("points=\"") + 8;
  std::set<std::string> heights;
  for (const auto point : absl::StrSplit(page.substr(begin, page.find('"', begin) - begin), ' '))
    heights.insert(std::string(point.substr(point.find(',') + 1)));
  EXPECT_EQ(heights.size(), 2u);
}

TEST(FiguresTest, AMatrixOfAnotherSizeIsNoMatrix) {
  v1::Evaluation evaluation = SampleJob().test_evaluation();
  const std::string text = ConfusionSection(evaluation).text();
  EXPECT_THAT(text, HasSubstr("title=\"dog taken for cat: 38 (22.1 %)\">38</td>"));
  EXPECT_THAT(text, HasSubstr("class=\"right deep\" style=\"--share:0.91\" title=\"cat taken for cat: 180 (90.0 %)\""));
  evaluation.add_confusion_matrix(1);
  EXPECT_TRUE(ConfusionSection(evaluation).empty());
  evaluation.clear_classes();
  EXPECT_TRUE(ConfusionSection(evaluation).empty());
  EXPECT_TRUE(ClassSection(evaluation).empty());
}

TEST(FiguresTest, FiguresThatAreNotNumbersDoNoHarm) {
  v1::Evaluation evaluation = SampleJob().test_evaluation();
  evaluation.mutable_classes(0)->set_f1(std::numeric_limits<double>::quiet_NaN());
  evaluation.set_confusion_matrix(0, -5);
  EXPECT_THAT(FaultsOf(ClassSection(evaluation).text()), IsEmpty());
  EXPECT_THAT(FaultsOf(ConfusionSection(evaluation).text()), IsEmpty());
}

TEST(SettingsTest, GivenAndFilledIn) {
  const auto asked = Parse<v1::FineTuningSpec>(
      R"(base_model: "models/m" hyperparameters { batch_size: 8 } head { hidden_sizes: 4 } phases { n_epochs: 2 })");
  auto effective = asked;
  effective.mutable_hyperparameters()->set_learning_rate(5e-5);
  effective.set_seed(42);
  effective.set_precision(v1::PRECISION_BF16);
  effective.mutable_phases(0)->set_name("all");
  effective.add_phases()->mutable_trainable()->set_head_only(true);
  std::vector<std::string> lines;
  for (const Setting& setting : Settings(asked, effective))
    lines.push_back(StrCat(setting.path, "=", setting.value, setting.is_given ? " given" : ""));
  EXPECT_THAT(
      lines, ElementsAre("base_model=models/m given", "head.hidden_sizes=4 given", "hyperparameters.batch_size=8 given",
                         "hyperparameters.learning_rate=5e-05", "phases[0].name=all", "phases[0].n_epochs=2 given",
                         "phases[1].trainable.head_only=true", "seed=42", "precision=bf16"));
}

}  // namespace
}  // namespace attune::cli
