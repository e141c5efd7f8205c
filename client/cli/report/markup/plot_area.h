// The frame that charts draw in: from values to pixels of an SVG, with axes. Pure.
//
//   PlotArea area({0, 873}, {0, 2.3});
//   svg.Add(area.Axes("step", false)).Add(Empty("circle", {{"cx", area.X(12)}, {"cy", area.Y(0.5)}, {"r", "2"}}));
#pragma once

#include <string>
#include <utility>

#include "client/cli/report/markup/axis.h"
#include "client/cli/report/markup/html.h"

namespace attune::cli {

class PlotArea {
 public:
  static constexpr double kWidth = 560, kHeight = 250;
  static constexpr double kLeft = 56, kRight = 12, kTop = 20, kBottom = 38;

  // Ranges of the values; equal ends are moved apart.
  PlotArea(std::pair<double, double> x, std::pair<double, double> y);

  // Pixels as attribute values. What lies outside is drawn at the edge.
  std::string X(double value) const { return Coordinate(XAt(value)); }
  std::string Y(double value) const { return Coordinate(YAt(value)); }
  double XAt(double value) const;
  double YAt(double value) const;

  // Grid, ticks with their numbers, and the name of the horizontal axis.
  Html Axes(const std::string& x_title, bool y_is_percent) const;
  // Points of a <polyline>.
  std::string Points(const Curve& curve) const;
  // The <svg> around it all; `description` is for those who cannot see it.
  static Html Svg(const std::string& description, const Html& content);

 private:
  std::pair<double, double> x_, y_;
};

}  // namespace attune::cli
