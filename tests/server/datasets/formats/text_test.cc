#include "server/datasets/formats/text.h"

#include <string>

#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

TEST(TextTest, BlankIsUnicodeWhiteSpace) {
  for (const char* blank : {"", " ", "\t\r\n", "\xc2\xa0", "\xe3\x80\x80 ", "\xe2\x80\x83\xe2\x80\xa8"})
    EXPECT_TRUE(IsBlank(blank)) << Quoted(blank);
  for (const char* text : {"a", " a ", "\xc3\xa9", ".", "\xe2\x82\xac"}) EXPECT_FALSE(IsBlank(text)) << Quoted(text);
}

TEST(TextTest, QuotedIsAlwaysShortPrintableUtf8) {
  EXPECT_EQ(Quoted("plain"), "'plain'");
  EXPECT_EQ(Quoted("caf\xe9\n"), "'caf\\xe9\\x0a'");
  EXPECT_EQ(Quoted("\xc3\xa9\xc3\xa9\xc3\xa9", 3), "'\xc3\xa9\xc3\xa9...'");
  EXPECT_LT(Quoted(std::string(1000, 'x')).size(), 70u);
}

TEST(TextTest, CountsWordsAndTrims) {
  EXPECT_EQ(CountWords(""), 0);
  EXPECT_EQ(CountWords("  one\ttwo\n three "), 3);
  EXPECT_EQ(TrimAscii(" \ta b\r\n"), "a b");
  EXPECT_EQ(TrimAscii(" "), "");
}

}  // namespace
}  // namespace attune::datasets
