#include "client/cli/report/markup/chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "client/cli/render/format.h"
#include "client/cli/report/markup/plot_area.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr size_t kBuckets = 150;        // of a curve: up to twice as many points
constexpr size_t kPointsWithDots = 60;  // more dots would be a line
constexpr size_t kMarksShown = 24;

std::string LineClass(size_t index) { return StrCat("s", index % 6); }

std::pair<double, double> XRange(const ChartSpec& spec) {
  std::pair<double, double> range = {INFINITY, -INFINITY};
  for (const ChartLine& line : spec.lines) {
    for (const CurvePoint& point : line.points) {
      if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
      range = {std::min(range.first, point.x), std::max(range.second, point.x)};
    }
  }
  return range;
}

// Of all lines, with some air.
std::pair<double, double> YRange(const ChartSpec& spec) {
  if (spec.y_range.has_value()) return *spec.y_range;
  std::vector<double> values;
  for (const ChartLine& line : spec.lines) {
    for (const CurvePoint& point : line.points) values.push_back(point.y);
  }
  const auto [least, most] = ReadableRange(values);
  const double air = (most - least) * 0.04;
  // A measure that cannot be under 0 has its axis begin there when it comes near.
  const bool near_zero = least >= 0 && least < most / 4;
  return {near_zero ? 0 : least - air, most + air};
}

Html DrawLine(const ChartLine& line, size_t index, const PlotArea& area) {
  const Curve points = Thin(line.points, kBuckets);
  Html drawn;
  const std::string kind = line.kind == ChartLine::Kind::kFaintLine ? " faint" : "";
  if (points.size() > 1)
    drawn.Add(
        Element("polyline", {{"class", StrCat("line ", LineClass(index), kind)}, {"points", area.Points(points)}}));
  // A single point is no line.
  const bool dots =
      points.size() == 1 || (line.kind == ChartLine::Kind::kLineWithPoints && points.size() <= kPointsWithDots);
  for (size_t i = 0; dots && i < points.size(); ++i) {
    const std::string title =
        StrCat(line.name, " ", Number(points[i].y), " at ", Count(static_cast<int64_t>(points[i].x)));
    drawn.Add(Element("circle",
                      {{"class", StrCat("dot ", LineClass(index))},
                       {"cx", area.X(points[i].x)},
                       {"cy", area.Y(points[i].y)},
                       {"r", "2.6"}},
                      Element("title", {}, Text(title))));
  }
  if (line.ring.has_value()) {
    drawn.Add(Element("circle",
                      {{"class", StrCat("ring ", LineClass(index))},
                       {"cx", area.X(line.ring->x)},
                       {"cy", area.Y(line.ring->y)},
                       {"r", "6"}},
                      Element("title", {}, Text("best"))));
  }
  return drawn;
}

Html DrawMarks(const ChartSpec& spec, std::pair<double, double> x_range, const PlotArea& area) {
  Html drawn;
  double last = -INFINITY;
  for (size_t i = 0; i < std::min(spec.marks.size(), kMarksShown); ++i) {
    const ChartMark& mark = spec.marks[i];
    if (!std::isfinite(mark.x) || mark.x < x_range.first || mark.x > x_range.second) continue;
    const double x = area.XAt(mark.x);
    drawn.Add(Element("line", {{"class", "mark"},
                               {"x1", Coordinate(x)},
                               {"x2", Coordinate(x)},
                               {"y1", Coordinate(PlotArea::kTop)},
                               {"y2", Coordinate(PlotArea::kHeight - PlotArea::kBottom)}}));
    if (x - last < 70) continue;  // names would cover each other
    last = x;
    drawn.Add(
        Element("text", {{"class", "tick"}, {"x", Coordinate(x + 3)}, {"y", "13"}}, Text(Fit(OneLine(mark.name), 18))));
  }
  return drawn;
}

Html Legend(const ChartSpec& spec) {
  Html legend;
  for (size_t i = 0; i < spec.lines.size(); ++i) {
    const std::string kind = spec.lines[i].kind == ChartLine::Kind::kFaintLine ? " faint" : "";
    legend.Add(Element("span", {{"class", StrCat("key ", LineClass(i), kind)}},
                       Join({Html("<i></i>"), Text(spec.lines[i].name)})));
  }
  return legend;
}

// What the chart does not show.
std::string Remarks(const ChartSpec& spec, std::pair<double, double> y_range) {
  int64_t not_finite = 0, beyond = 0;
  for (const ChartLine& line : spec.lines) {
    not_finite += CountNotFinite(line.points);
    for (const CurvePoint& point : line.points)
      beyond += std::isfinite(point.y) && (point.y < y_range.first || point.y > y_range.second);
  }
  std::string text = spec.note;
  const auto add = [&](const std::string& remark) { StrAppend(&text, text.empty() ? "" : " ", remark); };
  if (not_finite > 0)
    add(StrCat(Count(not_finite), not_finite == 1 ? " point is" : " points are", " not a finite number and left out."));
  if (beyond > 0)
    add(StrCat(Count(beyond), beyond == 1 ? " point lies" : " points lie", " beyond the axis, drawn at its edge."));
  return text;
}

}  // namespace

Html Chart(const ChartSpec& spec) {
  const Html title = Element("figcaption", {}, Join({Element("b", {}, Text(spec.title)), Legend(spec)}));
  const std::pair<double, double> x_range = XRange(spec);
  const std::pair<double, double> y_range = YRange(spec);
  const std::string remarks = Remarks(spec, y_range);
  const Html note = remarks.empty() ? Html() : Note(remarks);
  if (x_range.first > x_range.second)
    return Element("figure", {{"class", "chart"}}, Join({title, Note("No points to draw."), note}));
  const PlotArea area(x_range, y_range);
  Html drawing = area.Axes(spec.x_title, spec.y_is_percent);
  drawing.Add(DrawMarks(spec, x_range, area));
  for (size_t i = 0; i < spec.lines.size(); ++i) drawing.Add(DrawLine(spec.lines[i], i, area));
  return Element("figure", {{"class", "chart"}},
                 Join({title, PlotArea::Svg(StrCat(spec.title, " by ", spec.x_title), drawing), note, Html("\n")}));
}

Html ReliabilityChart(const std::vector<ReliabilityBin>& bins) {
  const PlotArea area({0, 1}, {0, 1});
  int64_t most = 1;
  for (const ReliabilityBin& bin : bins) most = std::max(most, bin.rows);
  Html drawing = area.Axes("confidence", true);
  for (const ReliabilityBin& bin : bins) {
    if (bin.rows <= 0 || !std::isfinite(bin.accuracy)) continue;
    const double depth = 0.25 + 0.75 * static_cast<double>(bin.rows) / static_cast<double>(most);
    const double left = area.XAt(bin.lower), right = area.XAt(bin.upper), top = area.YAt(bin.accuracy);
    const std::string title = StrCat(Count(bin.rows), " predictions of ", Percent(bin.confidence),
                                     " confidence: ", Percent(bin.accuracy), " right");
    drawing.Add(Element("rect",
                        {{"class", "fill s0"},
                         {"x", Coordinate(left + 1)},
                         {"width", Coordinate(std::max(1.0, right - left - 2))},
                         {"y", Coordinate(top)},
                         {"height", Coordinate(area.YAt(0) - top)},
                         {"fill-opacity", Coordinate(depth)}},
                        Element("title", {}, Text(title))));
    drawing.Add(Element(
        "circle", {{"class", "dot s1"}, {"cx", area.X(bin.confidence)}, {"cy", area.Y(bin.accuracy)}, {"r", "2.6"}},
        Element("title", {}, Text(title))));
  }
  drawing.Add(
      Element("line", {{"class", "mark"}, {"x1", area.X(0)}, {"y1", area.Y(0)}, {"x2", area.X(1)}, {"y2", area.Y(1)}}));
  const Html title = Element("figcaption", {}, Element("b", {}, Text("Share that is right, by confidence")));
  return Element("figure", {{"class", "chart"}},
                 Join({title, PlotArea::Svg("Share of right predictions by confidence", drawing), Html("\n")}));
}

}  // namespace attune::cli
