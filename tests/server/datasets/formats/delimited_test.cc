// CSV and TSV: the grammar, and what happens to rows that break it.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/datasets/formats/read_rows.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* name;
  std::string content;
  std::vector<std::string> cells;
  std::vector<int64_t> lines;
};

class CsvTest : public testing::TestWithParam<Case> {};

TEST_P(CsvTest, Reads) {
  auto rows = ReadRows("a.csv", GetParam().content);
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> cells;
  std::vector<int64_t> lines;
  for (const ReadRow& row : *rows) {
    EXPECT_EQ(row.fault, v1::RowIssue::KIND_UNSPECIFIED) << row.message;
    cells.push_back(row.cells);
    lines.push_back(row.line);
  }
  EXPECT_EQ(cells, GetParam().cells);
  EXPECT_EQ(lines, GetParam().lines);
}

INSTANTIATE_TEST_SUITE_P(
    Grammar, CsvTest,
    testing::Values(Case{"plain", "text,label\na,x\nb,y\n", {"a|-|x|-", "b|-|y|-"}, {2, 3}},
                    Case{"no_last_line_end", "text,label\na,x", {"a|-|x|-"}, {2}},
                    Case{"crlf", "text,label\r\na,x\r\n\"b\",\"y\"\r\n", {"a|-|x|-", "b|-|y|-"}, {2, 3}},
                    Case{"crlf_without_lf_at_the_end", "text,label\r\na,\"x\"\r", {"a|-|x|-"}, {2}},
                    Case{"byte_order_mark", "\xef\xbb\xbftext,label\na,x\n", {"a|-|x|-"}, {2}},
                    Case{"column_order_and_others", "id,label,note,text\n7,x,n,a\n", {"a|-|x|-"}, {2}},
                    Case{"pair", "text,text_pair,label\na,b,x\n", {"a|b|x|-"}, {2}},
                    Case{"quoted_delimiter", "text,label\n\"a, b\",x\n", {"a, b|-|x|-"}, {2}},
                    Case{"doubled_quotes",
                         "text,label\n\"say \"\"hi\"\"\",x\n\"\"\"\",y\n",
                         {"say \"hi\"|-|x|-", "\"|-|y|-"},
                         {2, 3}},
                    Case{"embedded_line_breaks_count_as_lines",
                         "text,label\n\"a\nb\r\nc\",x\nd,y\n",
                         {"a\nb\r\nc|-|x|-", "d|-|y|-"},
                         {2, 5}},
                    Case{"empty_quoted", "text,label\n\"\",\"\"\n", {"|-||-"}, {2}},
                    Case{"quotes_inside_unquoted_are_kept", "text,label\nsay \"hi\",x\n", {"say \"hi\"|-|x|-"}, {2}},
                    Case{"lone_cr_is_data", "text,label\na\rb,x\n", {"a\rb|-|x|-"}, {2}},
                    Case{"blank_lines_are_no_rows", "\n\r\ntext,label\n\na,x\n\r\n", {"a|-|x|-"}, {5}},
                    Case{"header_names_are_trimmed", "text , label\na,x\n", {"a|-|x|-"}, {2}},
                    Case{"bytes_of_columns_that_nobody_reads", "text,label,note\na,x,\xff\n", {"a|-|x|-"}, {2}}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(TsvTest, ReadsTabsAndQuotes) {
  ReaderOptions options;
  options.columns = {.text = "sentence", .label = "gold", .split = "part"};
  auto rows = ReadRows("a.tsv", "gold\tsentence\tpart\nx\ta, b\ttrain\ny\t\"c\td\"\ttest\n", options);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].cells, "a, b|-|x|train");
  EXPECT_EQ((*rows)[1].cells, "c\td|-|y|test");
}

// However the window falls on a record, the record is the same: this file is larger than several windows, with breaks
// at all kinds of places.
TEST(CsvWindowTest, RecordsThatCrossWindows) {
  std::string content = "text,label\r\n";
  std::vector<std::string> texts;
  for (int i = 0; i < 40000; ++i) {
    texts.push_back(std::string(i % 97, 'a') + (i % 3 == 0 ? "\"\r\n," : "") + std::to_string(i));
    std::string quoted = texts.back();
    for (size_t at = 0; (at = quoted.find('"', at)) != std::string::npos; at += 2) quoted.insert(at, "\"");
    content += (i % 3 == 0 ? "\"" + quoted + "\"" : quoted) + "," + std::to_string(i % 5) + "\r\n";
  }
  auto rows = ReadRows("a.csv", content);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i)
    ASSERT_EQ((*rows)[i].cells, texts[i] + "|-|" + std::to_string(i % 5) + "|-");
}

struct FaultCase {
  const char* name;
  std::string content;
  v1::RowIssue::Kind kind;
  int64_t line;
  std::string column;
  std::string says;
};

class CsvFaultTest : public testing::TestWithParam<FaultCase> {};

TEST_P(CsvFaultTest, CostsItsOwnRowOnly) {
  ReaderOptions options;
  options.max_row_bytes = 1000;
  auto rows = ReadRows("a.csv", GetParam().content, options);
  ASSERT_TRUE(rows.ok()) << rows.status();
  int faults = 0;
  for (const ReadRow& row : *rows) {
    if (row.fault == v1::RowIssue::KIND_UNSPECIFIED) continue;
    ++faults;
    EXPECT_EQ(row.fault, GetParam().kind);
    EXPECT_EQ(row.line, GetParam().line);
    EXPECT_EQ(row.column, GetParam().column);
    EXPECT_THAT(row.message, HasSubstr(GetParam().says));
  }
  EXPECT_EQ(faults, 1);
  // Whatever happened, the row after it is read, and knows its line.
  ASSERT_FALSE(rows->empty());
  EXPECT_EQ(rows->back().cells, "last|-|z|-");
  EXPECT_EQ(rows->back().line, std::count(GetParam().content.begin(), GetParam().content.end(), '\n'));
}

INSTANTIATE_TEST_SUITE_P(
    Faults, CsvFaultTest,
    testing::Values(
        FaultCase{"RAGGED_ROW_more", "text,label\na,b,x\nlast,z\n", v1::RowIssue::KIND_RAGGED_ROW, 2, "",
                  "3 columns, the header has 2"},
        FaultCase{"RAGGED_ROW_fewer", "text,label\na\nlast,z\n", v1::RowIssue::KIND_RAGGED_ROW, 2, "",
                  "1 column, the header has 2"},
        FaultCase{"RAGGED_ROW_quote_never_closed", "text,label\n\"a,x\nb,y\nlast,z\n", v1::RowIssue::KIND_RAGGED_ROW, 2,
                  "", "never closed"},
        FaultCase{"RAGGED_ROW_text_after_quote", "text,label\n\"a\" b,x\nlast,z\n", v1::RowIssue::KIND_RAGGED_ROW, 2,
                  "", "write those inside it twice"},
        FaultCase{"RAGGED_ROW_quote_closed_by_a_later_row", "text,label\n\"a,x\nb,y\n\"c\",y\nlast,z\n",
                  v1::RowIssue::KIND_RAGGED_ROW, 2, "", "closing"},
        FaultCase{"NOT_UTF8_text", "text,label\ncaf\xe9,x\nlast,z\n", v1::RowIssue::KIND_NOT_UTF8, 2, "text",
                  "byte 0xe9 at position 4"},
        FaultCase{"NOT_UTF8_label", "text,label\na,\xc3\nlast,z\n", v1::RowIssue::KIND_NOT_UTF8, 2, "label", "iconv"},
        FaultCase{"ROW_TOO_LONG", "text,label\n" + std::string(1001, 'a') + ",x\nlast,z\n",
                  v1::RowIssue::KIND_ROW_TOO_LONG, 2, "", "1000 bytes"},
        FaultCase{"ROW_TOO_LONG_beyond_the_window", "text,label\n" + std::string(2000000, 'a') + ",x\nlast,z\n",
                  v1::RowIssue::KIND_ROW_TOO_LONG, 2, "", "shorten"},
        FaultCase{"ROW_TOO_LONG_in_quotes", "text,label\n\"" + std::string(2000000, 'a') + "\",x\nlast,z\n",
                  v1::RowIssue::KIND_ROW_TOO_LONG, 2, "", "close the double quote"}),
    [](const testing::TestParamInfo<FaultCase>& info) { return info.param.name; });

struct FileCase {
  const char* name;
  std::string content;
  std::vector<std::string> says;
};

class CsvFileErrorTest : public testing::TestWithParam<FileCase> {};

TEST_P(CsvFileErrorTest, NamesTheFileAndWhatToDo) {
  ReaderOptions options;
  options.max_row_bytes = 1000;
  auto rows = ReadRows("a.csv", GetParam().content, options);
  ASSERT_EQ(rows.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(rows.status().message());
  EXPECT_THAT(message, HasSubstr("'a.csv'"));
  for (const std::string& word : GetParam().says) EXPECT_THAT(message, HasSubstr(word));
}

INSTANTIATE_TEST_SUITE_P(
    Files, CsvFileErrorTest,
    testing::Values(FileCase{"empty", "", {"is empty"}}, FileCase{"only_blank_lines", "\n\r\n\n", {"is empty"}},
                    FileCase{"only_a_byte_order_mark", "\xef\xbb\xbf", {"is empty"}},
                    FileCase{"missing_text_column",
                             "txet,label\na,x\n",
                             {"no column 'text'", "'txet', 'label'", "Did you mean 'txet'", "Set text_column"}},
                    FileCase{"missing_label_column",
                             "sentiment,confidence,text\nx,1,a\n",
                             {"no column 'label'", "'sentiment', 'confidence', 'text'", "Set label_column"}},
                    FileCase{"semicolons", "text;label\na;x\n", {"'text;label'", "semicolons"}},
                    FileCase{"column_twice", "text,label,text\na,x,b\n", {"more than one column 'text'"}},
                    FileCase{"utf16", std::string("\xff\xfet\0e\0x\0t\0", 10), {"UTF-16", "iconv"}},
                    FileCase{"old_mac_line_ends", "text,label\ra,x\rb,y\r", {"CR alone"}},
                    FileCase{"header_not_utf8", "t\xe9xt,label\na,x\n", {"'t\\xe9xt'"}},
                    FileCase{"header_too_long", std::string(300000, 'a') + ",label\n", {"header", "too long"}},
                    FileCase{"header_with_open_quote", "\"text,label\na,x\n", {"header", "double quotes"}}),
    [](const testing::TestParamInfo<FileCase>& info) { return info.param.name; });

TEST(CsvFileErrorTest, OptionalAndRequiredPairColumn) {
  ReaderOptions options;
  options.columns.text_pair = "hypothesis";
  EXPECT_TRUE(ReadRows("a.csv", "text,label\na,x\n", options).ok());
  options.columns.text_pair_required = true;
  EXPECT_THAT(std::string(ReadRows("a.csv", "text,label\na,x\n", options).status().message()),
              HasSubstr("Set text_pair_column"));
  options = {};
  options.columns.split = "fold";
  EXPECT_THAT(std::string(ReadRows("a.csv", "text,label\na,x\n", options).status().message()),
              HasSubstr("Set split_column"));
}

}  // namespace
}  // namespace attune::datasets
