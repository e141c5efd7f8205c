#include "client/cli/report/curves.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr char kEvaluationPrefix[] = "eval_";

// Half of the window is this share of all points.
constexpr size_t kSmoothingShare = 50;

// Smoothed within each phase: a new phase may begin at another loss.
Curve SmoothByPhase(const Curve& curve, const std::vector<ChartMark>& marks) {
  Curve all;
  for (size_t begin = 0, mark = 0; begin < curve.size();) {
    while (mark < marks.size() && marks[mark].x <= curve[begin].x) ++mark;
    size_t end = begin;
    while (end < curve.size() && (mark == marks.size() || curve[end].x < marks[mark].x)) ++end;
    const Curve part =
        Smooth(Curve(curve.begin() + static_cast<ptrdiff_t>(begin), curve.begin() + static_cast<ptrdiff_t>(end)),
               std::max<size_t>(1, curve.size() / kSmoothingShare));
    all.insert(all.end(), part.begin(), part.end());
    begin = end;
  }
  return all;
}

// Names of evaluation metrics that there are, without their prefix.
std::set<std::string> EvaluationMetrics(const std::vector<v1::MetricPoint>& points) {
  std::set<std::string> names;
  for (const v1::MetricPoint& point : points) {
    for (const auto& [name, value] : point.values()) {
      if (absl::StartsWith(name, kEvaluationPrefix)) names.insert(name.substr(sizeof(kEvaluationPrefix) - 1));
    }
  }
  return names;
}

// The step whose evaluation was the best, by the events.
std::optional<int64_t> BestStep(const ReportData& data) {
  std::optional<int64_t> step;
  for (const v1::JobEvent& event : data.events) {
    if (event.has_evaluation() && event.evaluation().is_best()) step = event.evaluation().step();
  }
  return step;
}

ChartLine EvaluationLine(const ReportData& data, const std::string& metric, const std::string& name) {
  ChartLine line{.name = name,
                 .points = MetricCurve(data.metrics, kEvaluationPrefix + metric),
                 .kind = ChartLine::Kind::kLineWithPoints};
  const std::optional<int64_t> best = BestStep(data);
  if (metric != data.job.effective_spec().evaluation().metric_for_best_model() || !best.has_value()) return line;
  for (const CurvePoint& point : line.points) {
    if (point.x == static_cast<double>(*best)) line.ring = point;
  }
  return line;
}

ChartSpec LossChart(const ReportData& data, const std::vector<ChartMark>& marks) {
  ChartSpec chart{.title = "Loss", .x_title = "step", .marks = marks};
  const Curve raw = MetricCurve(data.metrics, "loss");
  chart.lines.push_back({.name = "training, smoothed", .points = SmoothByPhase(raw, marks)});
  ChartLine evaluated = EvaluationLine(data, "loss", "validation");
  if (!evaluated.points.empty()) chart.lines.push_back(std::move(evaluated));
  chart.lines.push_back({.name = "training, each step", .points = raw, .kind = ChartLine::Kind::kFaintLine});
  return chart;
}

// Metrics that are shares go into one chart, every other one has its own scale.
std::vector<ChartSpec> EvaluationCharts(const ReportData& data, const std::vector<ChartMark>& marks) {
  ChartSpec shares{.title = "Validation", .x_title = "step", .marks = marks};
  std::vector<ChartSpec> others;
  for (const std::string& metric : EvaluationMetrics(data.metrics)) {
    if (metric == "loss") continue;  // with the training loss
    ChartLine line = EvaluationLine(data, metric, metric);
    const bool is_share = std::all_of(line.points.begin(), line.points.end(),
                                      [](const CurvePoint& point) { return !(point.y < -1 || point.y > 1); });
    if (is_share && metric != "mse" && metric != "mae") {
      shares.lines.push_back(std::move(line));
    } else {
      others.push_back(
          {.title = StrCat("Validation ", metric), .x_title = "step", .lines = {std::move(line)}, .marks = marks});
    }
  }
  if (!shares.lines.empty()) others.insert(others.begin(), std::move(shares));
  return others;
}

std::optional<ChartSpec> SingleChart(const ReportData& data, const std::vector<ChartMark>& marks,
                                     const std::string& metric, const std::string& title) {
  Curve points = MetricCurve(data.metrics, metric);
  if (points.empty()) return std::nullopt;
  return ChartSpec{
      .title = title, .x_title = "step", .lines = {{.name = metric, .points = std::move(points)}}, .marks = marks};
}

}  // namespace

Curve MetricCurve(const std::vector<v1::MetricPoint>& points, const std::string& name) {
  std::map<int64_t, double> by_step;
  int64_t last = 0;
  for (const v1::MetricPoint& point : points) {
    if (point.step() < last) by_step.erase(by_step.lower_bound(point.step()), by_step.end());
    last = point.step();
    auto found = point.values().find(name);
    if (found != point.values().end()) by_step[point.step()] = found->second;
  }
  Curve curve;
  for (const auto& [step, value] : by_step) curve.push_back({static_cast<double>(step), value});
  return curve;
}

std::vector<ChartMark> PhaseMarks(const std::vector<v1::MetricPoint>& points) {
  std::map<int64_t, std::string> phases;
  int64_t last = 0;
  for (const v1::MetricPoint& point : points) {
    if (point.step() < last) phases.erase(phases.lower_bound(point.step()), phases.end());
    last = point.step();
    if (!point.phase().empty()) phases[point.step()] = point.phase();
  }
  std::vector<ChartMark> marks;
  for (const auto& [step, phase] : phases) {
    if (marks.empty() || marks.back().name != phase) marks.push_back({static_cast<double>(step), phase});
  }
  return marks;
}

Html CurvesSection(const ReportData& data) {
  if (data.metrics.empty()) return Section("curves", "Curves", Note("No metrics were recorded yet."));
  const std::vector<ChartMark> marks = PhaseMarks(data.metrics);
  std::vector<ChartSpec> charts = {LossChart(data, marks)};
  for (ChartSpec& chart : EvaluationCharts(data, marks)) charts.push_back(std::move(chart));
  if (EvaluationMetrics(data.metrics).empty()) charts.front().note = "Nothing was evaluated while training.";
  if (auto chart = SingleChart(data, marks, "learning_rate", "Learning rate of the topmost layer"))
    charts.push_back(*std::move(chart));
  if (auto chart = SingleChart(data, marks, "samples_per_second", "Speed, rows in a second"))
    charts.push_back(*std::move(chart));
  if (auto chart = SingleChart(data, marks, "input_wait", "Share of the time spent waiting for input")) {
    chart->y_range = {0, 1};
    chart->y_is_percent = true;
    charts.push_back(*std::move(chart));
  }
  Html drawn;
  for (const ChartSpec& chart : charts) drawn.Add(Chart(chart));
  return Section("curves", "Curves", Element("div", {{"class", "charts"}}, drawn));
}

}  // namespace attune::cli
