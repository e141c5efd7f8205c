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
  std::string line;
  std::string cells;
};

class JsonlTest : public testing::TestWithParam<Case> {};

TEST_P(JsonlTest, Reads) {
  // The first row has every column, so that a row without one is not a file without one.
  auto rows =
      ReadRows("a.jsonl", "{\"text\": \"t\", \"text_pair\": \"p\", \"label\": \"l\"}\n" + GetParam().line + "\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].fault, v1::RowIssue::KIND_UNSPECIFIED) << (*rows)[1].message;
  EXPECT_EQ((*rows)[1].cells, GetParam().cells);
  EXPECT_EQ((*rows)[1].line, 2);
}

INSTANTIATE_TEST_SUITE_P(
    Values, JsonlTest,
    testing::Values(
        Case{"strings", R"({"text": "a", "label": "x"})", "a|-|x|-"},
        Case{"pair", R"({"text": "a", "text_pair": "b", "label": "x"})", "a|b|x|-"},
        Case{"escapes", R"({"text": "a\n\"\u00e9\ud83d\ude00\u0000b", "label": "x"})",
             std::string("a\n\"\xc3\xa9\xf0\x9f\x98\x80\0b|-|x|-", 17)},
        Case{"integer", R"({"text": "a", "label": -3})", "a|-|-3|-"},
        Case{"large_integer", R"({"text": "a", "label": 18446744073709551615})", "a|-|18446744073709551615|-"},
        Case{"fraction_as_written", R"({"text": "a", "label": 2.50})", "a|-|2.50|-"},
        Case{"boolean", R"({"text": "a", "label": true})", "a|-|true|-"},
        Case{"null", R"({"text": "a", "label": null})", "a|-|null|-"},
        Case{"list", R"({"text": "a", "label": ["x", 3, false]})", "a|-|[x,3,false]|-"},
        Case{"empty_list", R"({"text": "a", "label": []})", "a|-|[]|-"},
        Case{"list_of_lists", R"({"text": "a", "label": ["x", ["y"], 1.5]})", "a|-|[x!a list]|-"},
        Case{"list_with_null", R"({"text": "a", "label": [null]})", "a|-|[!null]|-"},
        Case{"list_of_objects", R"({"text": "a", "label": [{"label": "x"}]})", "a|-|[!an object]|-"},
        Case{"object", R"({"text": "a", "label": {"text": "x", "l": [1]}})", "a|-|object|-"},
        Case{"absent", R"({"text": "a"})", "a|-|-|-"},
        Case{"same_names_further_down",
             R"({"meta": {"text": "no", "label": ["no"]}, "text": "a", "label": "x", "more": ["text", {"label": 1}]})",
             "a|-|x|-"},
        Case{"last_of_two_counts", R"({"text": "a", "label": ["x"], "label": "y"})", "a|-|y|-"},
        Case{"white_space", "  {\"text\":\"a\",\"label\":\"x\"}\t\r", "a|-|x|-"}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(JsonlLinesTest, BlankLinesMarksAndEnds) {
  auto rows = ReadRows("a.jsonl", "\xef\xbb\xbf{\"text\":\"a\",\"label\":1}\r\n\n   \n{\"text\":\"b\",\"label\":2}");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].cells, "b|-|2|-");
  EXPECT_EQ((*rows)[1].line, 4);
}

struct FaultCase {
  const char* name;
  std::string line;
  v1::RowIssue::Kind kind;
  std::string column;
  std::string says;
};

class JsonlFaultTest : public testing::TestWithParam<FaultCase> {};

TEST_P(JsonlFaultTest, CostsItsOwnRowOnly) {
  ReaderOptions options;
  options.max_row_bytes = 1000;
  const std::string good = "{\"text\":\"good\",\"label\":\"x\"}\n";
  auto rows = ReadRows("a.jsonl", good + GetParam().line + "\n" + good, options);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[1].fault, GetParam().kind);
  EXPECT_EQ((*rows)[1].line, 2);
  EXPECT_EQ((*rows)[1].column, GetParam().column);
  EXPECT_THAT((*rows)[1].message, HasSubstr(GetParam().says));
  EXPECT_EQ((*rows)[2].cells, "good|-|x|-");
  EXPECT_EQ((*rows)[2].line, 3);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, JsonlFaultTest,
    testing::Values(
        FaultCase{"BAD_JSON_cut", R"({"text": "a", "label)", v1::RowIssue::KIND_BAD_JSON, "", "one JSON object"},
        FaultCase{"BAD_JSON_trailing", R"({"text": "a", "label": "x"} {"text": "b"})", v1::RowIssue::KIND_BAD_JSON, "",
                  "not JSON at position 29"},
        FaultCase{"BAD_JSON_python_quotes", "{'text': 'a'}", v1::RowIssue::KIND_BAD_JSON, "", "not JSON at position 2"},
        FaultCase{"BAD_JSON_list", R"(["a", "x"])", v1::RowIssue::KIND_BAD_JSON, "", "jq"},
        FaultCase{"BAD_JSON_number", "7", v1::RowIssue::KIND_BAD_JSON, "", "not an object"},
        FaultCase{"BAD_JSON_lone_surrogate", R"({"text": "\ud800", "label": "x"})", v1::RowIssue::KIND_BAD_JSON, "",
                  "surrogate"},
        FaultCase{"BAD_JSON_control_character", "{\"text\": \"a\x01\"}", v1::RowIssue::KIND_BAD_JSON, "",
                  "control character"},
        FaultCase{"BAD_JSON_deep", std::string(900, '['), v1::RowIssue::KIND_BAD_JSON, "", "not JSON"},
        FaultCase{"BAD_NUMBER_nan", R"({"text": "a", "label": NaN})", v1::RowIssue::KIND_BAD_NUMBER, "label",
                  "finite number"},
        FaultCase{"BAD_NUMBER_overflow", R"({"text": "a", "label": 1e999})", v1::RowIssue::KIND_BAD_NUMBER, "label",
                  "'1e999' is too large"},
        FaultCase{"BAD_NUMBER_infinity", R"({"text": "a", "label": -Infinity})", v1::RowIssue::KIND_BAD_NUMBER, "label",
                  "Infinity"},
        FaultCase{"BAD_NUMBER_in_a_column_that_nobody_reads", R"({"text": "a", "score": NaN})",
                  v1::RowIssue::KIND_BAD_NUMBER, "", "leave it out"},
        FaultCase{"NOT_UTF8", "{\"text\": \"caf\xe9\"}", v1::RowIssue::KIND_NOT_UTF8, "", "byte 0xe9 at position 14"},
        FaultCase{"ROW_TOO_LONG", "{\"text\": \"" + std::string(1000, 'a') + "\"}", v1::RowIssue::KIND_ROW_TOO_LONG, "",
                  "1000 bytes"},
        FaultCase{"ROW_TOO_LONG_beyond_the_window", "{\"text\": \"" + std::string(3000000, 'a') + "\"}",
                  v1::RowIssue::KIND_ROW_TOO_LONG, "", "shorten"}),
    [](const testing::TestParamInfo<FaultCase>& info) { return info.param.name; });

TEST(JsonlColumnsTest, MissingFromEveryObjectIsTheFilesFault) {
  const auto status =
      ReadRows("a.jsonl", "{\"sentence\": \"a\", \"label\": 1, \"id\": 3}\n{\"sentence\": \"b\", \"label\": 0}\n")
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* word : {"'a.jsonl'", "no column 'text'", "'sentence', 'label', 'id'", "Set text_column"})
    EXPECT_THAT(std::string(status.message()), HasSubstr(word));
  EXPECT_THAT(std::string(ReadRows("a.jsonl", "{\"text\": \"a\", \"labels\": 1}\n").status().message()),
              HasSubstr("Did you mean 'labels'? Set label_column"));
}

TEST(JsonlColumnsTest, IsFoundOutBeforeTheEndOfALargeFile) {
  std::string content;
  for (int i = 0; i < 1000; ++i) content += "{\"sentence\": \"a\", \"label\": 1}\n";
  TemporaryDirectory directory;
  ReaderOptions options;
  options.file = {.path = WriteTemporary(directory, "a.jsonl", content + "{\"text\": \"late\", \"label\": 1}\n"),
                  .filename = "a.jsonl"};
  auto reader = (*FindFormat(v1::FILE_FORMAT_JSONL, ""))->open(options);
  ASSERT_TRUE(reader.ok());
  Row row;
  int rows = 0;
  absl::StatusOr<bool> got = true;
  while ((got = (*reader)->Next(row)).ok() && *got) ++rows;
  EXPECT_EQ(rows, 999);
  EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(JsonlColumnsTest, EmptyFileHasNoRows) {
  for (const char* content : {"", "\n\n", "\xef\xbb\xbf"}) {
    auto rows = ReadRows("a.jsonl", content);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_TRUE(rows->empty());
  }
}

TEST(JsonlColumnsTest, OnlyBadRowsSayNothingAboutColumns) {
  auto rows = ReadRows("a.jsonl", "not json\n[]\n");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 2u);
}

}  // namespace
}  // namespace attune::datasets
