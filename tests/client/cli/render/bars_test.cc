#include "client/cli/render/bars.h"

#include <gtest/gtest.h>

#include <cmath>

#include "client/cli/render/table.h"
#include "client/cli/render/transfer_text.h"

namespace attune::cli {
namespace {

const Style kUnicode{.unicode = true};
const Style kAscii{.unicode = false};

TEST(BarsTest, ProgressInEighths) {
  EXPECT_EQ(ProgressBar(0, 4, kUnicode), "░░░░");
  EXPECT_EQ(ProgressBar(1, 4, kUnicode), "████");
  EXPECT_EQ(ProgressBar(0.5, 4, kUnicode), "██░░");
  EXPECT_EQ(ProgressBar(0.4, 4, kUnicode), "█▌░░");
  EXPECT_EQ(ProgressBar(7, 4, kUnicode), "████");
  EXPECT_EQ(ProgressBar(std::nan(""), 4, kUnicode), "░░░░");
  EXPECT_EQ(ProgressBar(0.5, 4, kAscii), "##--");
}

TEST(BarsTest, HistogramShowsTheSmallest) {
  EXPECT_EQ(HistogramBar(0, 10, kUnicode), "");
  EXPECT_EQ(HistogramBar(1e-6, 10, kUnicode), "▏");
  EXPECT_EQ(HistogramBar(1, 3, kUnicode), "███");
  EXPECT_EQ(HistogramBar(1e-6, 10, kAscii), "#");
}

TEST(BarsTest, Sparklines) {
  EXPECT_EQ(Sparkline({}, 10, kUnicode), "");
  EXPECT_EQ(Sparkline({1, 2, 3, 4, 5, 6, 7, 8}, 10, kUnicode), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline({5, 5, 5}, 10, kUnicode), "▄▄▄");
  EXPECT_EQ(Sparkline({8, 8, 1, 1}, 2, kUnicode), "█▁") << "means of neighbours";
  EXPECT_EQ(Sparkline({0, std::nan(""), 1}, 10, kUnicode), "▁!█");
  EXPECT_EQ(Sparkline({0, 7}, 10, kAscii), "_#");
}

TEST(TableTest, AlignsByWhatIsSeen) {
  Table table({{"NAME"}, {"ROWS", Align::kRight}});
  table.AddRow({"日本", "5"});
  table.AddRow({"b", "1,000"});
  table.AddRow({"c"});
  EXPECT_EQ(table.Render(kUnicode), "NAME   ROWS\n日本      5\nb     1,000\nc\n");
}

TEST(TableTest, TheWidestTextGivesWay) {
  Table table({{"ID"}, {"TEXT"}, {"N", Align::kRight}});
  table.AddRow({"abc", "a long text that does not fit", "1"});
  EXPECT_EQ(table.Render({.unicode = true, .width = 24}), "ID   TEXT              N\nabc  a long text tha…  1\n");
  EXPECT_EQ(table.Render({.unicode = true, .width = 3}), "ID   TEXT      N\nabc  a long …  1\n")
      << "but not to nothing";
}

TEST(TableTest, ColoursTakeNoRoom) {
  const Style style{.colour = true};
  Table table({{"STATE"}, {"X"}});
  table.AddRow({Paint(style, Colour::kRed, "BAD"), "y"});
  EXPECT_EQ(table.Render({}), "STATE  X\n\x1b[31mBAD\x1b[0m    y\n");
}

TEST(TableTest, KeyValuesLeaveOutWhatIsEmpty) {
  EXPECT_EQ(KeyValues({{"a", "1"}, {"gone", ""}, {"long", "2"}}, {}), "  a     1\n  long  2\n");
}

TEST(TransferTextTest, BarAndLine) {
  const TransferState state{.verb = "uploading", .name = "a.csv", .done = 2'000'000, .total = 8'000'000, .seconds = 2};
  EXPECT_EQ(TransferBar(state, kUnicode),
            "uploading a.csv  ██████░░░░░░░░░░░░░░░░░░  25 %  2.00 MB of 8.00 MB  1.00 MB/s  0:06 to go");
  EXPECT_EQ(TransferBar(state, {.unicode = true, .width = 30}), "uploading a.csv  ██████░░░░░…");
  EXPECT_EQ(TransferLine(state), "uploading a.csv: 25 % (2.00 MB of 8.00 MB)");
  const TransferState rows{.verb = "reading", .name = "rows", .done = 5000, .bytes = false, .fraction = 0.5};
  EXPECT_EQ(TransferLine(rows), "reading rows: 50 % (5,000 rows)");
}

}  // namespace
}  // namespace attune::cli
