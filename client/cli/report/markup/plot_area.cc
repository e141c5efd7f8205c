#include "client/cli/report/markup/plot_area.h"

#include <algorithm>
#include <cmath>

#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kXTicks = 6, kYTicks = 5;

std::pair<double, double> Apart(std::pair<double, double> range) {
  if (range.second > range.first) return range;
  const double margin = range.first == 0 ? 1 : std::abs(range.first) / 2;
  return {range.first - margin, range.first + margin};
}

std::string TickText(double tick, bool is_percent) {
  if (is_percent) return StrCat(Number(tick * 100), " %");
  // From a thousand on four digits would not tell ticks apart.
  const bool is_whole = tick == std::floor(tick) && std::abs(tick) < 1e9;
  return is_whole ? Count(static_cast<int64_t>(tick)) : Number(tick);
}

}  // namespace

PlotArea::PlotArea(std::pair<double, double> x, std::pair<double, double> y) : x_(Apart(x)), y_(Apart(y)) {}

double PlotArea::XAt(double value) const {
  const double share = std::clamp((value - x_.first) / (x_.second - x_.first), 0.0, 1.0);
  return kLeft + share * (kWidth - kLeft - kRight);
}

double PlotArea::YAt(double value) const {
  const double share = std::clamp((value - y_.first) / (y_.second - y_.first), 0.0, 1.0);
  return kHeight - kBottom - share * (kHeight - kTop - kBottom);
}

Html PlotArea::Axes(const std::string& x_title, bool y_is_percent) const {
  const std::string left = Coordinate(kLeft), right = Coordinate(kWidth - kRight);
  const std::string bottom = Coordinate(kHeight - kBottom);
  Html axes;
  for (const double tick : RoundTicks(y_.first, y_.second, kYTicks)) {
    axes.Add(Element("line", {{"class", "grid"}, {"x1", left}, {"x2", right}, {"y1", Y(tick)}, {"y2", Y(tick)}}));
    axes.Add(Element(
        "text",
        {{"class", "tick"}, {"text-anchor", "end"}, {"x", Coordinate(kLeft - 6)}, {"y", Coordinate(YAt(tick) + 4)}},
        Text(TickText(tick, y_is_percent))));
  }
  for (const double tick : RoundTicks(x_.first, x_.second, kXTicks)) {
    axes.Add(Element("line", {{"class", "axis"},
                              {"x1", X(tick)},
                              {"x2", X(tick)},
                              {"y1", bottom},
                              {"y2", Coordinate(kHeight - kBottom + 4)}}));
    axes.Add(Element(
        "text",
        {{"class", "tick"}, {"text-anchor", "middle"}, {"x", X(tick)}, {"y", Coordinate(kHeight - kBottom + 17)}},
        Text(TickText(tick, false))));
  }
  axes.Add(Element("line", {{"class", "axis"}, {"x1", left}, {"x2", right}, {"y1", bottom}, {"y2", bottom}}));
  const std::string middle = Coordinate((kLeft + kWidth - kRight) / 2);
  axes.Add(Element("text",
                   {{"class", "tick"}, {"text-anchor", "middle"}, {"x", middle}, {"y", Coordinate(kHeight - 4)}},
                   Text(x_title)));
  return axes;
}

std::string PlotArea::Points(const Curve& curve) const {
  std::string text;
  for (const CurvePoint& point : curve) StrAppend(&text, text.empty() ? "" : " ", X(point.x), ",", Y(point.y));
  return text;
}

Html PlotArea::Svg(const std::string& description, const Html& content) {
  return Element("svg",
                 {{"viewBox", StrCat("0 0 ", Coordinate(kWidth), " ", Coordinate(kHeight))},
                  {"role", "img"},
                  {"aria-label", description}},
                 content);
}

}  // namespace attune::cli
