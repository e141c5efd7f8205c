// Each kind of fault that a readable row can have. (Faults of rows that cannot be read: formats/.)
#include "server/datasets/importing/row_check.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/str_cat.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;
using Type = Cell::Type;
using examples::LabelKind;
using examples::Split;

Cell MakeCell(Type type, std::string_view text = {}) {
  Cell cell;
  cell.type = type;
  cell.text = text;
  return cell;
}
Cell Plain(std::string_view text) { return MakeCell(Type::kPlain, text); }
Cell List(std::vector<std::string> items, std::optional<Type> bad = {}) {
  Cell cell = MakeCell(Type::kList);
  cell.items = std::move(items);
  cell.bad_item = bad;
  return cell;
}

struct Case {
  const char* name;
  std::optional<LabelKind> kind;
  Cell text;
  Cell label;
  Cell split;
  // What comes out: labels joined by '+', or the number, then the split; or the fault.
  std::string expected;
  v1::RowIssue::Kind fault = v1::RowIssue::KIND_UNSPECIFIED;
  std::string column = "";
  std::string says = "";
};

class RowCheckTest : public testing::TestWithParam<Case> {};

TEST_P(RowCheckTest, Judges) {
  ColumnNames columns;
  columns.split = "part";
  RowChecker checker(columns, GetParam().kind);
  Row row;
  row.text = GetParam().text;
  row.label = GetParam().label;
  row.split = GetParam().split;
  CheckedRow checked;
  checked.labels = {"left", "over"};
  const std::optional<RowFault> fault = checker.Check(row, std::nullopt, checked);
  if (GetParam().fault != v1::RowIssue::KIND_UNSPECIFIED) {
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->kind, GetParam().fault);
    EXPECT_EQ(fault->column, GetParam().column);
    EXPECT_THAT(fault->message, HasSubstr(GetParam().says));
    return;
  }
  ASSERT_FALSE(fault.has_value()) << fault->message;
  std::string labels;
  for (const std::string_view label : checked.labels) StrAppend(&labels, labels.empty() ? "" : "+", label);
  if (checker.kind() == LabelKind::kRegression) labels = StrCat(checked.value);
  EXPECT_EQ(labels + " " + examples::SplitName(*checked.split), GetParam().expected);
}

const Cell kText = Plain("a text");
const Cell kTrain = Plain("train");
constexpr std::optional<LabelKind> kAuto;

INSTANTIATE_TEST_SUITE_P(
    Good, RowCheckTest,
    testing::Values(
        Case{"single", kAuto, kText, Plain("x"), kTrain, "x train"},
        Case{"label_is_trimmed", kAuto, kText, Plain(" x\t"), kTrain, "x train"},
        Case{"json_string", kAuto, MakeCell(Type::kString, "a"), MakeCell(Type::kString, "x|y"), kTrain, "x|y train"},
        Case{"json_integer", kAuto, kText, MakeCell(Type::kInteger, "3"), kTrain, "3 train"},
        Case{"json_boolean", kAuto, kText, MakeCell(Type::kBool, "true"), kTrain, "true train"},
        Case{"bar_without_multi_label_is_a_name", kAuto, kText, Plain("x|y"), kTrain, "x|y train"},
        Case{"json_list_is_multi_label", kAuto, kText, List({"x", "y", "x", " z "}), kTrain, "x+y+z train"},
        Case{"json_empty_list", LabelKind::kMultiLabel, kText, List({}), kTrain, " train"},
        Case{"bars", LabelKind::kMultiLabel, kText, Plain("x| y |x"), kTrain, "x+y train"},
        Case{"no_class_in_csv", LabelKind::kMultiLabel, kText, Plain("  "), kTrain, " train"},
        Case{"number", LabelKind::kRegression, kText, Plain(" -2.5e1 "), kTrain, "-25 train"},
        Case{"json_number", LabelKind::kRegression, kText, MakeCell(Type::kFraction, "2.50"), kTrain, "2.5 train"},
        Case{"json_integer_as_number", LabelKind::kRegression, kText, MakeCell(Type::kInteger, "7"), kTrain, "7 train"},
        Case{"split_training", kAuto, kText, Plain("x"), Plain("Training"), "x train"},
        Case{"split_valid", kAuto, kText, Plain("x"), Plain("valid"), "x validation"},
        Case{"split_val", kAuto, kText, Plain("x"), Plain(" VAL "), "x validation"},
        Case{"split_dev", kAuto, kText, Plain("x"), Plain("dev"), "x validation"},
        Case{"split_test", kAuto, kText, Plain("x"), Plain("test"), "x test"}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

using Issue = v1::RowIssue;

INSTANTIATE_TEST_SUITE_P(
    Bad, RowCheckTest,
    testing::Values(Case{"EMPTY_TEXT_absent", kAuto, Cell(), Plain("x"), kTrain, "", Issue::KIND_EMPTY_TEXT, "text",
                         "there is no 'text'"},
                    Case{"EMPTY_TEXT_null", kAuto, MakeCell(Type::kNull), Plain("x"), kTrain, "",
                         Issue::KIND_EMPTY_TEXT, "text", "only null"},
                    Case{"EMPTY_TEXT_empty", kAuto, Plain(""), Plain("x"), kTrain, "", Issue::KIND_EMPTY_TEXT, "text",
                         "leave it out"},
                    Case{"EMPTY_TEXT_white_space", kAuto, Plain(" \t\xc2\xa0\n"), Plain("x"), kTrain, "",
                         Issue::KIND_EMPTY_TEXT, "text", "white space"},
                    Case{"BAD_JSON_text_type", kAuto, MakeCell(Type::kInteger, "3"), Plain("x"), kTrain, "",
                         Issue::KIND_BAD_JSON, "text", "an integer: write it as a string"},
                    Case{"MISSING_LABEL_absent", kAuto, kText, Cell(), kTrain, "", Issue::KIND_MISSING_LABEL, "label",
                         "missing or empty"},
                    Case{"MISSING_LABEL_null", kAuto, kText, MakeCell(Type::kNull), kTrain, "",
                         Issue::KIND_MISSING_LABEL, "label", "leave it out"},
                    Case{"MISSING_LABEL_empty", kAuto, kText, Plain(" "), kTrain, "", Issue::KIND_MISSING_LABEL,
                         "label", "give the row a label"},
                    Case{"MISSING_LABEL_number", LabelKind::kRegression, kText, Plain(""), kTrain, "",
                         Issue::KIND_MISSING_LABEL, "label", "missing"},
                    Case{"MISSING_LABEL_between_bars", LabelKind::kMultiLabel, kText, Plain("x||y"), kTrain, "",
                         Issue::KIND_MISSING_LABEL, "label", "one of the labels is empty"},
                    Case{"MISSING_LABEL_in_list", kAuto, kText, List({"x", " "}), kTrain, "", Issue::KIND_MISSING_LABEL,
                         "label", "one of the labels is empty"},
                    Case{"BAD_JSON_fraction_as_class", kAuto, kText, MakeCell(Type::kFraction, "1.0"), kTrain, "",
                         Issue::KIND_BAD_JSON, "label", "LABEL_KIND_REGRESSION"},
                    Case{"BAD_JSON_object_as_class", kAuto, kText, MakeCell(Type::kObject), kTrain, "",
                         Issue::KIND_BAD_JSON, "label", "an object"},
                    Case{"BAD_JSON_list_for_single_label", LabelKind::kSingleLabel, kText, List({"x"}), kTrain, "",
                         Issue::KIND_BAD_JSON, "label", "LABEL_KIND_MULTI_LABEL"},
                    Case{"BAD_JSON_string_for_multi_label", LabelKind::kMultiLabel, kText, MakeCell(Type::kString, "x"),
                         kTrain, "", Issue::KIND_BAD_JSON, "label", "[\"a\", \"b\"]"},
                    Case{"BAD_JSON_item", kAuto, kText, List({"x"}, Type::kNull), kTrain, "", Issue::KIND_BAD_JSON,
                         "label", "holds null"},
                    Case{"BAD_NUMBER_text", LabelKind::kRegression, kText, Plain("three"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "'three', not a number"},
                    Case{"BAD_NUMBER_nan", LabelKind::kRegression, kText, Plain("nan"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "not finite"},
                    Case{"BAD_NUMBER_infinity", LabelKind::kRegression, kText, Plain("-inf"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "not finite"},
                    Case{"BAD_NUMBER_overflow", LabelKind::kRegression, kText, Plain("1e999"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "not finite"},
                    Case{"BAD_NUMBER_single_precision", LabelKind::kRegression, kText, Plain("1e39"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "single precision"},
                    Case{"BAD_NUMBER_comma", LabelKind::kRegression, kText, Plain("1,5"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "such as 3.5"},
                    Case{"BAD_NUMBER_boolean", LabelKind::kRegression, kText, MakeCell(Type::kBool, "true"), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "true or false"},
                    Case{"BAD_NUMBER_list", LabelKind::kRegression, kText, List({"1"}), kTrain, "",
                         Issue::KIND_BAD_NUMBER, "label", "a list"},
                    Case{"BAD_SPLIT_unknown", kAuto, kText, Plain("x"), Plain("tset"), "", Issue::KIND_BAD_SPLIT,
                         "part", "did you mean test?"},
                    Case{"BAD_SPLIT_empty", kAuto, kText, Plain("x"), Plain(""), "", Issue::KIND_BAD_SPLIT, "part",
                         "empty: write train"},
                    Case{"BAD_SPLIT_absent", kAuto, kText, Plain("x"), Cell(), "", Issue::KIND_BAD_SPLIT, "part",
                         "empty"},
                    Case{"BAD_SPLIT_type", kAuto, kText, Plain("x"), MakeCell(Type::kInteger, "0"), "",
                         Issue::KIND_BAD_SPLIT, "part", "an integer"}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(RowCheckerTest, FirstLabelDecidesTheKind) {
  Row row;
  row.text = kText;
  CheckedRow checked;
  RowChecker checker({}, std::nullopt);
  row.label = MakeCell(Type::kNull);
  EXPECT_TRUE(checker.Check(row, Split::kTrain, checked));
  EXPECT_FALSE(checker.kind().has_value());
  row.label = List({"x"});
  EXPECT_FALSE(checker.Check(row, Split::kTrain, checked));
  EXPECT_EQ(checker.kind(), LabelKind::kMultiLabel);
  row.label = MakeCell(Type::kString, "x");
  EXPECT_EQ(checker.Check(row, Split::kTrain, checked)->kind, Issue::KIND_BAD_JSON);
}

TEST(RowCheckerTest, FileSplitWinsOverTheColumn) {
  ColumnNames columns;
  columns.split = "part";
  Row row;
  row.text = kText;
  row.label = Plain("x");
  row.split = Plain("nonsense");
  CheckedRow checked;
  EXPECT_FALSE(RowChecker(columns, std::nullopt).Check(row, Split::kTest, checked));
  EXPECT_EQ(checked.split, Split::kTest);
  columns.split.clear();
  EXPECT_FALSE(RowChecker(columns, std::nullopt).Check(row, std::nullopt, checked));
  EXPECT_FALSE(checked.split.has_value());
}

TEST(RowCheckerTest, PairsMayBeAbsent) {
  Row row;
  row.text = kText;
  row.label = Plain("x");
  CheckedRow checked;
  RowChecker checker({}, std::nullopt);
  for (const Cell& pair : {Cell(), MakeCell(Type::kNull), Plain(""), Plain("  ")}) {
    row.text_pair = pair;
    EXPECT_FALSE(checker.Check(row, Split::kTrain, checked));
    EXPECT_FALSE(checked.has_text_pair);
  }
  row.text_pair = Plain("second");
  EXPECT_FALSE(checker.Check(row, Split::kTrain, checked));
  EXPECT_EQ(checked.text_pair, "second");
  row.text_pair = MakeCell(Type::kFraction, "1.5");
  const auto fault = checker.Check(row, Split::kTrain, checked);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Issue::KIND_BAD_JSON);
  EXPECT_EQ(fault->column, "text_pair");
}

}  // namespace
}  // namespace attune::datasets
