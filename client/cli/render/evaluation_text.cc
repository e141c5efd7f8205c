#include "client/cli/render/evaluation_text.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cli/render/table.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kBarWidth = 20;
constexpr int kMatrixClasses = 10;  // EvaluationText shows the matrix of so many
constexpr size_t kConfusionsShown = 10;

std::string Title(const Style& style, const std::string& text) { return StrCat("\n", Paint(style, Colour::kBold, text), "\n"); }

// The commonest pairs of true and predicted class, where the matrix is too large to show.
std::string Confusions(const v1::Evaluation& evaluation, const Style& style) {
  const int classes = evaluation.classes_size();
  if (classes <= kMatrixClasses || evaluation.confusion_matrix_size() != classes * classes) return "";
  std::vector<std::tuple<int64_t, int, int>> pairs;  // negated rows: commonest first
  for (int i = 0; i < classes * classes; ++i) {
    if (i / classes != i % classes && evaluation.confusion_matrix(i) > 0) pairs.emplace_back(-evaluation.confusion_matrix(i), i / classes, i % classes);
  }
  if (pairs.empty()) return "";
  std::sort(pairs.begin(), pairs.end());
  pairs.resize(std::min(pairs.size(), kConfusionsShown));
  Table table({{"TRUE"}, {"PREDICTED"}, {"ROWS", Align::kRight}});
  for (const auto& [rows, truth, predicted] : pairs) {
    table.AddRow({OneLine(evaluation.classes(truth).label()), OneLine(evaluation.classes(predicted).label()), Count(-rows)});
  }
  return StrCat(Title(style, "Commonest confusions"), table.Render(style));
}

std::string Calibration(const v1::CheckpointEvaluation& evaluation, const Style& style) {
  Table table({{"CONFIDENCE"}, {"ROWS", Align::kRight}, {"MEAN", Align::kRight}, {"RIGHT", Align::kRight}, {""}});
  for (const v1::CalibrationBin& bin : evaluation.calibration()) {
    if (bin.rows() == 0) continue;
    table.AddRow({StrCat(Percent(bin.lower()), " to ", Percent(bin.upper())), Count(bin.rows()), Percent(bin.confidence()), Percent(bin.accuracy()),
                  HistogramBar(bin.accuracy(), kBarWidth, style)});
  }
  return table.empty() ? "" : StrCat(Title(style, "Calibration: how sure, and how often right"), table.Render(style));
}

// Where a row is: "photos.tar cats/7.jpg" or "reviews.csv:12".
std::string Place(const v1::JudgedRow& row) {
  if (!row.entry().empty()) return OneLine(StrCat(row.filename(), " ", row.entry()));
  return row.line() > 0 ? OneLine(StrCat(row.filename(), ":", row.line())) : OneLine(row.filename());
}

std::string Said(const google::protobuf::RepeatedPtrField<std::string>& labels, double probability) {
  return StrCat(labels.empty() ? "none" : OneLine(absl::StrJoin(labels, " | ")), " ", Percent(probability));
}

std::string Rows(const google::protobuf::RepeatedPtrField<v1::JudgedRow>& rows, bool regression, const Style& style) {
  const bool texts = std::any_of(rows.begin(), rows.end(), [](const v1::JudgedRow& row) { return !row.text().empty(); });
  std::vector<Column> columns = {{"ROW", Align::kRight}, {"WHERE"}, {regression ? "VALUE" : "LABEL"}, {"PREDICTED"}};
  if (texts) columns.push_back({"TEXT"});
  Table table(columns);
  for (const v1::JudgedRow& row : rows) {
    const std::string label = regression ? Number(row.value()) : Said(row.labels(), row.label_probability());
    const std::string predicted = regression ? Number(row.predicted_value()) : Said(row.predicted_labels(), row.predicted_probability());
    table.AddRow({Count(row.row()), Place(row), label, predicted, OneLine(row.text())});
  }
  return table.Render(style);
}

}  // namespace

std::string CheckpointEvaluationText(const v1::CheckpointEvaluation& evaluation, const Style& style) {
  const bool regression = evaluation.evaluation().classes_size() == 0;
  std::string text = StrCat(evaluation.checkpoint(), " on ", evaluation.dataset(), "\n", EvaluationText(evaluation.evaluation(), style, /*bars=*/true),
                            Confusions(evaluation.evaluation(), style), Calibration(evaluation, style));
  if (evaluation.mistakes_size() > 0) {
    StrAppend(&text, Title(style, regression ? "Largest errors" : "Mistakes that it is surest of"), Rows(evaluation.mistakes(), regression, style));
  }
  if (evaluation.training_rows() == 0) return text;
  const std::string looked = StrCat(Count(evaluation.training_rows()), " training rows");
  if (evaluation.suspects_size() == 0) return StrCat(text, "\nNone of ", looked, " has a label that the checkpoint contradicts\n");
  const std::string title = regression ? StrCat("Suspects: largest errors of ", looked)
                                       : StrCat("Suspects: ", Count(evaluation.contradicted_rows()), " of ", looked, " have a label that the checkpoint contradicts");
  return StrCat(text, Title(style, title), Rows(evaluation.suspects(), regression, style));
}

}  // namespace attune::cli
