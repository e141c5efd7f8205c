#include "client/cli/report/figures.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "client/cli/render/format.h"
#include "client/cli/report/markup/chart.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kClassesInTable = 100;
constexpr int kClassesInMatrix = 40;
constexpr size_t kPairsShown = 15;
constexpr int kLabelWidth = 40;

// Counts of the matrix by row (true class) and column (predicted class).
class Matrix {
 public:
  explicit Matrix(const v1::Evaluation& evaluation) : evaluation_(evaluation) {}
  bool valid() const {
    return size() > 0 && evaluation_.confusion_matrix_size() == static_cast<int64_t>(size()) * size();
  }
  int size() const { return evaluation_.classes_size(); }
  int64_t at(int row, int column) const { return evaluation_.confusion_matrix(row * size() + column); }
  const std::string& label(int i) const { return evaluation_.classes(i).label(); }
  // Rows of the class that are not on the diagonal, and rows that were wrongly taken for it.
  int64_t mistakes(int i) const {
    int64_t count = 0;
    for (int j = 0; j < size(); ++j) count += j == i ? 0 : at(i, j) + at(j, i);
    return count;
  }
  int64_t row_sum(int row) const {
    int64_t sum = 0;
    for (int j = 0; j < size(); ++j) sum += at(row, j);
    return sum;
  }

 private:
  const v1::Evaluation& evaluation_;
};

// Classes to show, in label order: all, or the most confused ones.
std::vector<int> ShownClasses(const Matrix& matrix) {
  std::vector<int> classes(static_cast<size_t>(matrix.size()));
  std::iota(classes.begin(), classes.end(), 0);
  if (matrix.size() <= kClassesInMatrix) return classes;
  std::vector<int64_t> mistakes;
  for (int i = 0; i < matrix.size(); ++i) mistakes.push_back(matrix.mistakes(i));
  std::stable_sort(classes.begin(), classes.end(),
                   [&](int a, int b) { return mistakes[static_cast<size_t>(a)] > mistakes[static_cast<size_t>(b)]; });
  classes.resize(kClassesInMatrix);
  std::sort(classes.begin(), classes.end());
  return classes;
}

Html MatrixCell(const Matrix& matrix, int row, int column, int64_t row_sum) {
  const int64_t count = matrix.at(row, column);
  if (count <= 0) return Html("<td></td>");
  const double share = std::min(1.0, static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, row_sum)));
  // The colour says right or wrong, its depth the share of the row.
  const char* kind = row == column ? "right" : "wrong";
  const std::string style = StrCat("--share:", Coordinate(0.08 + 0.92 * share));
  const std::string title =
      StrCat(matrix.label(row), " taken for ", matrix.label(column), ": ", Count(count), " (", Percent(share), ")");
  return Element("td", {{"class", StrCat(kind, share > 0.55 ? " deep" : "")}, {"style", style}, {"title", title}},
                 Text(Count(count)));
}

Html HeatMap(const Matrix& matrix) {
  const std::vector<int> classes = ShownClasses(matrix);
  Html header = Element("th", {{"class", "corner"}}, Text("true \\ predicted"));
  for (const int column : classes)
    header.Add(Element("th", {{"class", "column"}, {"title", matrix.label(column)}},
                       Element("span", {}, Text(Fit(OneLine(matrix.label(column)), kLabelWidth)))));
  Html rows;
  for (const int row : classes) {
    const int64_t row_sum = matrix.row_sum(row);
    Html cells = Element("th", {{"title", matrix.label(row)}}, Text(Fit(OneLine(matrix.label(row)), kLabelWidth)));
    for (const int column : classes) cells.Add(MatrixCell(matrix, row, column, row_sum));
    rows.Add(Element("tr", {}, cells)).Add(Html("\n"));
  }
  const Html table = Element("table", {{"class", "matrix"}},
                             Join({Element("thead", {}, Element("tr", {}, header)), Element("tbody", {}, rows)}));
  return Element("div", {{"class", "wide"}}, table);
}

// The pairs of classes that are confused most.
Html PairTable(const Matrix& matrix) {
  struct Pair {
    int64_t count = 0;
    int row = 0, column = 0;
  };
  std::vector<Pair> pairs;
  for (int row = 0; row < matrix.size(); ++row) {
    for (int column = 0; column < matrix.size(); ++column) {
      if (row != column && matrix.at(row, column) > 0) pairs.push_back({matrix.at(row, column), row, column});
    }
  }
  if (pairs.empty()) return Note("No row was taken for another class.");
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  HtmlTable table({{"True class"}, {"Taken for"}, {"Rows", true}, {"Share of the class", true}});
  for (size_t i = 0; i < std::min(pairs.size(), kPairsShown); ++i) {
    const double share = static_cast<double>(pairs[i].count) / static_cast<double>(matrix.row_sum(pairs[i].row));
    table.AddRow({Text(matrix.label(pairs[i].row)), Text(matrix.label(pairs[i].column)), Text(Count(pairs[i].count)),
                  Text(Percent(share))});
  }
  return Join({Element("h3", {}, Text("Most frequent confusions")), table.Render()});
}

std::string Of(const v1::Evaluation& evaluation) {
  return StrCat("On ", Count(evaluation.rows()), " ", evaluation.split(), " rows.");
}

}  // namespace

Html ClassSection(const v1::Evaluation& evaluation) {
  if (evaluation.classes().empty()) return Html();
  std::vector<const v1::ClassFigures*> classes;
  for (const v1::ClassFigures& figures : evaluation.classes()) classes.push_back(&figures);
  std::string note = Of(evaluation);
  if (evaluation.classes_size() > kClassesInTable) {
    std::stable_sort(classes.begin(), classes.end(), [](const auto* a, const auto* b) { return a->f1() < b->f1(); });
    classes.resize(kClassesInTable);
    StrAppend(&note, " The ", kClassesInTable, " classes with the lowest F1 of ", Count(evaluation.classes_size()),
              ".");
  }
  int64_t most = 1;
  for (const auto* figures : classes) most = std::max(most, figures->support());
  HtmlTable table({{"Class"}, {"Precision"}, {"Recall"}, {"F1"}, {"Rows"}});
  for (const auto* figures : classes) {
    const auto bar = [](double value) { return Bar(value, Number(value)); };
    table.AddRow({Text(figures->label()), bar(figures->precision()), bar(figures->recall()), bar(figures->f1()),
                  Bar(static_cast<double>(figures->support()) / static_cast<double>(most), Count(figures->support()))});
  }
  return Section("classes", "Classes", Join({Note(note), table.Render()}));
}

Html ConfusionSection(const v1::Evaluation& evaluation) {
  const Matrix matrix(evaluation);
  if (!matrix.valid()) return Html();
  std::string note = Of(evaluation) + " Rows are true classes; the colour's depth is the share of the row.";
  if (matrix.size() > kClassesInMatrix)
    StrAppend(&note, " The ", kClassesInMatrix, " classes that are confused most of ", Count(matrix.size()), ".");
  return Section("confusion", "Confusion matrix",
                 Join({Note(note), HeatMap(matrix), matrix.size() > 2 ? PairTable(matrix) : Html()}));
}

Html CalibrationSection(const v1::CheckpointEvaluation& evaluation) {
  if (evaluation.calibration().empty()) return Html();
  std::vector<ReliabilityBin> bins;
  for (const v1::CalibrationBin& bin : evaluation.calibration())
    bins.push_back({bin.lower(), bin.upper(), bin.rows(), bin.confidence(), bin.accuracy()});
  std::string note =
      "Bars below the dashed line: surer than it should be; above it: more often right than it says. Deep bars stand "
      "for many predictions.";
  auto ece = evaluation.evaluation().values().find("ece");
  if (ece != evaluation.evaluation().values().end())
    note = StrCat("On average the confidence is ", Percent(ece->second), " off (expected calibration error). ", note);
  return Section("calibration", "Calibration",
                 Join({Note(note), Element("div", {{"class", "charts"}}, ReliabilityChart(bins))}));
}

}  // namespace attune::cli
