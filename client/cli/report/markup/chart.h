// Charts as inline SVG: lines and points over axes with round ticks, and vertical marks. Colours come from the page's
// style (classes s0 to s5), so that they follow light, dark and print. Pure.
//
//   ChartSpec chart{.title = "Loss", .x_title = "step"};
//   chart.lines.push_back({.name = "training", .points = losses});
//   page.Add(Chart(chart));
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/report/markup/axis.h"
#include "client/cli/report/markup/html.h"

namespace attune::cli {

struct ChartLine {
  enum class Kind { kLine, kFaintLine, kLineWithPoints };
  std::string name;  // in the legend
  Curve points;      // any number; thinned to a few hundred. A value that is not finite is left out
  Kind kind = Kind::kLine;
  std::optional<CurvePoint> ring = {};  // a point to stand out
};

// A vertical line with its name at the top.
struct ChartMark {
  double x = 0;
  std::string name;
};

struct ChartSpec {
  std::string title;
  std::string x_title;
  std::vector<ChartLine> lines = {};
  std::vector<ChartMark> marks = {};
  std::optional<std::pair<double, double>> y_range = {};  // nothing: by the values, see ReadableRange
  bool y_is_percent = false;                              // values are shares
  std::string note = {};                                  // below
};

// A <figure>. Without a finite point it says so instead of axes.
Html Chart(const ChartSpec& spec);

// Bars beside each other between 0 and 1 with the diagonal, and how many each bar stands for as its depth of colour.
struct ReliabilityBin {
  double lower = 0, upper = 0;
  int64_t rows = 0;
  double confidence = 0, accuracy = 0;
};
Html ReliabilityChart(const std::vector<ReliabilityBin>& bins);

}  // namespace attune::cli
