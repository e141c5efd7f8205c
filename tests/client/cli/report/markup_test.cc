// Escaping, and the numbers and shapes of charts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "client/cli/report/markup/axis.h"
#include "client/cli/report/markup/chart.h"
#include "client/cli/report/markup/facts.h"
#include "client/cli/report/markup/html.h"
#include "client/cli/report/markup/plot_area.h"
#include "server/base/str_cat.h"
#include "tests/client/cli/report/page_checker.h"

namespace attune::cli {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

int CountOf(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST(HtmlTest, EveryTextIsEscaped) {
  EXPECT_EQ(Text("<script>alert('x')</script> & \"y\"").text(),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;");
  EXPECT_EQ(Text("&lt;").text(), "&amp;lt;") << "what looks escaped is a text like any other";
  EXPECT_EQ(Text(std::string("a\0b\x1b[2J\r\nc", 10)).text(), "a b [2J  c");
  EXPECT_EQ(Text("\xff\xfe").text(), "??");
  EXPECT_EQ(Text("a\xe2\x80\xae"
                 "b")
                .text(),
            "a b")
      << "nothing turns the direction of what follows";
  EXPECT_EQ(Text("Käse 🧀").text(), "Käse 🧀");
  EXPECT_EQ(Lines("\n<a>\n\nb").text(), "\n&lt;a&gt;\n\nb");
}

TEST(HtmlTest, AttributesAreEscaped) {
  EXPECT_EQ(Element("td", {{"title", "\" onmouseover=\"alert(1)"}}, Text("x")).text(),
            "<td title=\"&quot; onmouseover=&quot;alert(1)\">x</td>");
  EXPECT_EQ(Picture("\x89PNG", "'><script>").text(),
            "<img alt=\"&#39;&gt;&lt;script&gt;\" src=\"data:image/png;base64,iVBORw==\">");
}

TEST(HtmlTest, TablesFillMissingCellsAndDropOthers) {
  HtmlTable table({{"<a>"}, {"n", true}});
  EXPECT_TRUE(table.empty());
  table.AddRow({Text("x")});
  table.AddRow({Text("y"), Text("1"), Text("2")});
  EXPECT_EQ(
      table.Render().text(),
      "<div class=\"wide\"><table><thead><tr><th>&lt;a&gt;</th><th class=\"n\">n</th></tr></thead><tbody>"
      "<tr><td>x</td><td class=\"n\"></td></tr>\n<tr><td>y</td><td class=\"n\">1</td></tr>\n</tbody></table></div>");
  EXPECT_THAT(FactTable({{"a", ""}, {"b", "<c>"}}).text(),
              AllOf(Not(HasSubstr("<th>a")), HasSubstr("<th>b</th><td>&lt;c&gt;</td>")));
}

TEST(HtmlTest, BarsStayInTheirCell) {
  EXPECT_THAT(Bar(0.5, "x").text(), HasSubstr("width:50%"));
  EXPECT_THAT(Bar(7, "x").text(), HasSubstr("width:100%"));
  EXPECT_THAT(Bar(-1, "x").text(), HasSubstr("width:0%"));
  EXPECT_THAT(Bar(kNan, "x").text(), HasSubstr("width:0%"));
}

TEST(HtmlTest, CoordinatesAreShortAndAlwaysNumbers) {
  EXPECT_EQ(Coordinate(1.5), "1.5");
  EXPECT_EQ(Coordinate(100), "100");
  EXPECT_EQ(Coordinate(-0.001), "0");
  EXPECT_EQ(Coordinate(1.0 / 3), "0.33");
  EXPECT_EQ(Coordinate(kNan), "0");
  EXPECT_EQ(Coordinate(kInfinity), "0");
  EXPECT_EQ(Coordinate(1e300), "1000000000");
}

TEST(AxisTest, TicksAreRound) {
  EXPECT_THAT(RoundTicks(0, 873, 5), ElementsAre(0, 200, 400, 600, 800));
  EXPECT_THAT(RoundTicks(0, 1, 5), ElementsAre(0, DoubleNear(0.2, 1e-12), DoubleNear(0.4, 1e-12),
                                               DoubleNear(0.6, 1e-12), DoubleNear(0.8, 1e-12), 1));
  EXPECT_THAT(RoundTicks(-3, 3, 3), ElementsAre(-2, 0, 2));
  EXPECT_THAT(RoundTicks(5, 5, 5), ElementsAre(5));
  EXPECT_THAT(RoundTicks(1e-5, 5e-5, 4),
              ElementsAre(DoubleNear(1e-5, 1e-12), DoubleNear(2e-5, 1e-12), DoubleNear(3e-5, 1e-12),
                          DoubleNear(4e-5, 1e-12), DoubleNear(5e-5, 1e-12)));
  EXPECT_THAT(RoundTicks(2, 1, 5), IsEmpty());
  EXPECT_THAT(RoundTicks(kNan, 1, 5), IsEmpty());
  EXPECT_THAT(RoundTicks(0, kInfinity, 5), IsEmpty());
  for (const double most : {1e-300, 1e-9, 0.37, 12.0, 99.9, 1e6, 1e300}) {
    const auto ticks = RoundTicks(0, most, 6);
    EXPECT_GE(ticks.size(), 3u) << most;
    EXPECT_LE(ticks.size(), 8u) << most;
    EXPECT_THAT(ticks, Each(AllOf(Ge(0), Le(most * (1 + 1e-9)))));
  }
}

TEST(AxisTest, ThinningKeepsPeaksAndOrder) {
  Curve curve;
  for (int i = 0; i < 10'000; ++i)
    curve.push_back({static_cast<double>(i), i == 4321 ? 99.0 : i == 777 ? -99.0 : std::sin(i)});
  const Curve thin = Thin(curve, 150);
  EXPECT_LE(thin.size(), 300u);
  EXPECT_GE(thin.size(), 290u);
  EXPECT_TRUE(
      std::is_sorted(thin.begin(), thin.end(), [](const CurvePoint& a, const CurvePoint& b) { return a.x < b.x; }));
  EXPECT_EQ(std::count_if(thin.begin(), thin.end(), [](const CurvePoint& p) { return std::abs(p.y) == 99; }), 2);
  EXPECT_EQ(Thin({{1, 1}, {2, kNan}, {3, kInfinity}, {4, 4}}, 150).size(), 2u);
  EXPECT_THAT(Thin({}, 150), IsEmpty());
}

TEST(AxisTest, SmoothingKeepsALineAndEvensNoise) {
  Curve line, noise;
  for (int i = 0; i < 100; ++i) {
    line.push_back({static_cast<double>(i), 2.0 * i});
    noise.push_back({static_cast<double>(i), i % 2 == 0 ? 1.0 : -1.0});
  }
  const Curve smooth = Smooth(line, 10);
  ASSERT_EQ(smooth.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_NEAR(smooth[static_cast<size_t>(i)].y, 2.0 * i, 1e-9);
  EXPECT_LT(std::abs(Smooth(noise, 10)[50].y), 0.06);
  EXPECT_EQ(Smooth({{1, 5}}, 10).at(0).y, 5);
  EXPECT_THAT(Smooth({{1, kNan}}, 10), IsEmpty());
  EXPECT_EQ(Smooth({{1, 1e30}, {2, 0}, {3, 1}, {4, 0}}, 1).at(2).y, 1.0 / 3) << "one huge loss is forgotten";
}

TEST(AxisTest, OneOutlierDoesNotFlattenTheRest) {
  std::vector<double> values(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1 + static_cast<double>(i) / 1000;
  EXPECT_EQ(ReadableRange(values).second, values.back());
  values[3] = 1e6;
  EXPECT_LT(ReadableRange(values).second, 10);
  EXPECT_EQ(ReadableRange({1, 1e6}).second, 1e6) << "two points have no rest";
  EXPECT_EQ(ReadableRange({}), std::make_pair(0.0, 0.0));
  EXPECT_EQ(ReadableRange({kNan, 3}), std::make_pair(3.0, 3.0));
}

std::string Drawn(const Curve& curve, ChartLine::Kind kind = ChartLine::Kind::kLineWithPoints) {
  ChartSpec spec{.title = "Loss", .x_title = "step"};
  spec.lines.push_back({.name = "training", .points = curve, .kind = kind});
  const std::string text = Chart(spec).text();
  EXPECT_THAT(FaultsOf(text), IsEmpty());
  EXPECT_THAT(text, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  return text;
}

TEST(ChartTest, WithoutPointsItSaysSo) {
  EXPECT_THAT(Drawn({}), AllOf(HasSubstr("No points to draw."), Not(HasSubstr("<svg"))));
  EXPECT_THAT(Drawn({{1, kNan}, {2, kInfinity}}),
              AllOf(HasSubstr("No points to draw."), HasSubstr("2 points are not a finite number")));
}

TEST(ChartTest, OnePointIsADot) {
  const std::string text = Drawn({{7, 0.5}}, ChartLine::Kind::kLine);
  EXPECT_EQ(CountOf(text, "<circle"), 1);
  EXPECT_EQ(CountOf(text, "<polyline"), 0);
  EXPECT_THAT(text, HasSubstr("training 0.5 at 7"));
}

TEST(ChartTest, PointsThatAreNotFiniteAreLeftOutAndCounted) {
  const std::string text = Drawn({{1, 1}, {2, kNan}, {3, 2}});
  EXPECT_EQ(CountOf(text, "<circle"), 2);
  EXPECT_THAT(text, HasSubstr("1 point is not a finite number and left out."));
}

TEST(ChartTest, TenThousandPointsBecomeAFewHundred) {
  Curve curve;
  for (int i = 0; i < 10'000; ++i)
    curve.push_back({static_cast<double>(i), std::exp(-i / 3000.0) + 0.1 * std::sin(i * 12.9898)});
  const std::string text = Drawn(curve);
  EXPECT_LT(text.size(), 12'000u);
  const size_t begin = text.find("points=\"");
  EXPECT_LE(CountOf(text.substr(begin, text.find('"', begin + 8) - begin), ","), 300);
  EXPECT_THAT(text, AllOf(HasSubstr(">2,000</text>"), HasSubstr(">8,000</text>")));
}

TEST(ChartTest, WhatLiesBeyondTheAxisIsCounted) {
  Curve curve;
  for (int i = 0; i < 200; ++i) curve.push_back({static_cast<double>(i), i == 0 ? 1e9 : 1 + i / 200.0});
  EXPECT_THAT(Drawn(curve), HasSubstr("1 point lies beyond the axis, drawn at its edge."));
}

TEST(ChartTest, MarksRingsAndNamesOfAnyKind) {
  ChartSpec spec{.title = "<b>", .x_title = "\"x\""};
  spec.lines.push_back({.name = "</svg>", .points = {{1, 0}, {100, 1}}, .ring = CurvePoint{100, 1}});
  spec.marks = {{1, "<head>"}, {2, "too near for its name"}, {60, "all"}, {kNan, "nowhere"}, {500, "outside"}};
  spec.y_range = {0, 1};
  spec.y_is_percent = true;
  const std::string text = Chart(spec).text();
  EXPECT_THAT(FaultsOf(text), IsEmpty());
  EXPECT_EQ(CountOf(text, "class=\"mark\""), 3);
  EXPECT_THAT(text, AllOf(HasSubstr("&lt;head&gt;"), HasSubstr(">all</text>"), Not(HasSubstr("too near")),
                          Not(HasSubstr("outside"))));
  EXPECT_EQ(CountOf(text, "class=\"ring"), 1);
  EXPECT_THAT(text, HasSubstr(">40 %</text>"));
}

TEST(ChartTest, ValuesLieWhereTheAxisSays) {
  const PlotArea area({0, 10}, {0, 1});
  EXPECT_EQ(area.XAt(0), PlotArea::kLeft);
  EXPECT_EQ(area.XAt(10), PlotArea::kWidth - PlotArea::kRight);
  EXPECT_EQ(area.YAt(0), PlotArea::kHeight - PlotArea::kBottom);
  EXPECT_EQ(area.YAt(1), PlotArea::kTop);
  EXPECT_EQ(area.YAt(99), PlotArea::kTop);
  const PlotArea flat({3, 3}, {0, 0});
  EXPECT_EQ(flat.XAt(3), (PlotArea::kLeft + PlotArea::kWidth - PlotArea::kRight) / 2);
}

TEST(ChartTest, ReliabilityBarsStandForPredictions) {
  const std::string text =
      ReliabilityChart({{0, 0.5, 0, 0, 0}, {0.5, 0.75, 10, 0.6, 0.5}, {0.75, 1, 90, 0.9, kNan}}).text();
  EXPECT_THAT(FaultsOf(text), IsEmpty());
  EXPECT_EQ(CountOf(text, "<rect"), 1);
  EXPECT_THAT(text, HasSubstr("10 predictions of 60.0 % confidence: 50.0 % right"));
}

}  // namespace
}  // namespace attune::cli
