#include "client/cli/render/format.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace attune::cli {
namespace {

TEST(FormatTest, Counts) {
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(1000), "1,000");
  EXPECT_EQ(Count(-1234567), "-1,234,567");
  EXPECT_EQ(Count(INT64_MIN), "-9,223,372,036,854,775,808");
}

TEST(FormatTest, Sizes) {
  const std::pair<int64_t, const char*> cases[] = {{0, "0 B"},
                                                   {999, "999 B"},
                                                   {1000, "1.00 kB"},
                                                   {9990, "9.99 kB"},
                                                   {9999, "10.0 kB"},
                                                   {22'700'000, "22.7 MB"},
                                                   {999'960, "1.00 MB"},
                                                   {1'400'000'000, "1.40 GB"},
                                                   {INT64_MAX, "9.22 EB"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(Bytes(bytes), text);
}

TEST(FormatTest, NumbersAndShares) {
  EXPECT_EQ(Number(0.51234), "0.5123");
  EXPECT_EQ(Number(5e-5), "5e-05");
  EXPECT_EQ(Number(423.1), "423.1");
  EXPECT_EQ(Percent(0.4183), "41.8 %");
}

TEST(FormatTest, Durations) {
  const std::pair<double, const char*> cases[] = {{-1, "0.00 s"},      {0.42, "0.42 s"},     {4.24, "4.2 s"},
                                                  {9.96, "10 s"},      {59.4, "59 s"},       {59.6, "1 min 00 s"},
                                                  {112, "1 min 52 s"}, {7500, "2 h 05 min"}, {273600, "3 d 4 h"}};
  for (const auto& [seconds, text] : cases) EXPECT_EQ(Duration(seconds), text) << seconds;
  EXPECT_EQ(Remaining(31), "0:31");
  EXPECT_EQ(Remaining(725.4), "12:05");
  EXPECT_EQ(Remaining(7510), "2:05:10");
  EXPECT_EQ(Remaining(-3), "0:00");
}

TEST(FormatTest, Ages) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  EXPECT_EQ(Ago(now, now), "now");
  EXPECT_EQ(Ago(now - absl::Seconds(59), now), "59 s ago");
  EXPECT_EQ(Ago(now - absl::Minutes(5), now), "5 min ago");
  EXPECT_EQ(Ago(now - absl::Hours(3), now), "3 h ago");
  EXPECT_EQ(Ago(now - absl::Hours(50), now), "2 d ago");
  EXPECT_EQ(Ago(now + absl::Hours(1), now), "now") << "clocks differ";
}

TEST(FormatTest, WidthsOnATerminal) {
  const std::pair<const char*, int> cases[] = {{"abc", 3},      {"é", 1},         {"日本", 4},
                                               {"🙂", 2},       {"e\xCC\x81", 1}, {"\x1b[31mred\x1b[0m", 3},
                                               {"\x1b[2Kx", 1}, {"\xff\xfe", 2},  {"", 0}};
  for (const auto& [text, width] : cases) EXPECT_EQ(DisplayWidth(text), width) << text;
}

TEST(FormatTest, FitsIntoColumns) {
  EXPECT_EQ(Fit("abcdef", 6), "abcdef");
  EXPECT_EQ(Fit("abcdef", 5), "abcd…");
  EXPECT_EQ(Fit("abcdef", 5, false), "ab...");
  EXPECT_EQ(Fit("日本語", 5), "日本…");
  EXPECT_EQ(Fit("日本語", 4), "日…") << "half a character does not fit";
  EXPECT_EQ(Fit("abc", 0), "");
  EXPECT_EQ(Fit("abc", 2, false), "..");
}

TEST(FormatTest, DataCannotSteerTheTerminal) {
  EXPECT_EQ(OneLine("a\nb\tc\r"), "a b c ");
  EXPECT_EQ(OneLine("\x1b[2Jx"), " [2Jx");
  EXPECT_EQ(OneLine("caf\xe9!"), "caf?!");
  EXPECT_EQ(OneLine("\xC2\x9B"
                    "31m"),
            " 31m")
      << "C1 control";
  EXPECT_EQ(OneLine("a\xE2\x80\xAE"
                    "b"),
            "a b")
      << "right-to-left override";
  EXPECT_EQ(OneLine("\xE2\x82"), "??") << "cut character";
  EXPECT_EQ(OneLine("\xC0\x80\xED\xA0\x80"), "?????") << "overlong form and surrogate";
  EXPECT_EQ(OneLine("naïve 🙂"), "naïve 🙂");
}

}  // namespace
}  // namespace attune::cli
