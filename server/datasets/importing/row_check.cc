#include "server/datasets/importing/row_check.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/images/folder_layout.h"

namespace attune::datasets {
namespace {

using Type = Cell::Type;
using examples::LabelKind;

bool IsText(const Cell& cell) { return cell.type == Type::kPlain || cell.type == Type::kString; }
bool IsMissing(const Cell& cell) { return cell.type == Type::kAbsent || cell.type == Type::kNull; }

void AddOnce(std::string_view name, std::vector<std::string_view>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

}  // namespace

std::optional<RowFault> RowChecker::Check(const Row& row, std::optional<examples::Split> file_split,
                                          CheckedRow& checked) {
  if (row.fault) return row.fault;
  if (auto fault = columns_.images ? CheckImagePath(row, checked) : CheckText(row, checked)) return fault;
  checked.split = file_split;
  if (!file_split && !columns_.split.empty()) {
    if (auto fault = CheckSplit(row, checked)) return fault;
  }
  checked.labels.clear();
  checked.value = 0;
  return CheckLabel(row.label, checked);
}

std::optional<RowFault> RowChecker::CheckText(const Row& row, CheckedRow& checked) const {
  if (IsMissing(row.text)) {
    return RowFault{v1::RowIssue::KIND_EMPTY_TEXT, columns_.text,
                    StrCat("there is no ", Quoted(columns_.text), row.text.type == Type::kNull ? ", only null" : "",
                           ": give the row a text or leave it out")};
  }
  if (!IsText(row.text)) {
    return RowFault{v1::RowIssue::KIND_BAD_JSON, columns_.text,
                    StrCat("the text is ", TypeName(row.text.type), ": write it as a string, in double quotes")};
  }
  if (IsBlank(row.text.text)) {
    return RowFault{v1::RowIssue::KIND_EMPTY_TEXT, columns_.text,
                    "the text is empty or only white space: give the row a text or leave it out"};
  }
  checked.text = row.text.text;
  if (!IsText(row.text_pair) && !IsMissing(row.text_pair)) {
    return RowFault{
        v1::RowIssue::KIND_BAD_JSON, columns_.text_pair,
        StrCat("the second text is ", TypeName(row.text_pair.type), ": write it as a string, in double quotes")};
  }
  checked.has_text_pair = !IsMissing(row.text_pair) && !IsBlank(row.text_pair.text);
  checked.text_pair = checked.has_text_pair ? row.text_pair.text : std::string_view();
  return std::nullopt;
}

std::optional<RowFault> RowChecker::CheckImagePath(const Row& row, CheckedRow& checked) const {
  if (!IsText(row.text) && !IsMissing(row.text)) {
    return RowFault{v1::RowIssue::KIND_BAD_JSON, columns_.text,
                    StrCat("the path is ", TypeName(row.text.type), ": write it as a string, in double quotes")};
  }
  if (IsMissing(row.text) || IsBlank(row.text.text)) {
    return RowFault{v1::RowIssue::KIND_MISSING_IMAGE, columns_.text,
                    "the row names no image: give its path in the archive, or leave the row out"};
  }
  checked.text = TrimAscii(row.text.text);
  checked.text_pair = {};
  checked.has_text_pair = false;
  return std::nullopt;
}

std::optional<RowFault> RowChecker::CheckSplit(const Row& row, CheckedRow& checked) const {
  constexpr std::string_view kChoices = "write train, validation or test";
  const std::string_view name = IsText(row.split) ? TrimAscii(row.split.text) : std::string_view();
  checked.split = ParseSplitName(name);
  if (checked.split || (!columns_.split_required && row.split.type == Type::kAbsent)) return std::nullopt;
  if (!IsText(row.split) && !IsMissing(row.split)) {
    return RowFault{v1::RowIssue::KIND_BAD_SPLIT, columns_.split,
                    StrCat("the split is ", TypeName(row.split.type), ": ", kChoices)};
  }
  if (name.empty())
    return RowFault{v1::RowIssue::KIND_BAD_SPLIT, columns_.split, StrCat("the split is empty: ", kChoices)};
  const std::string nearest = Nearest(name, {"train", "training", "validation", "valid", "val", "dev", "test"});
  return RowFault{v1::RowIssue::KIND_BAD_SPLIT, columns_.split,
                  StrCat("the split is ", Quoted(name), ": ", kChoices,
                         nearest.empty() ? "" : StrCat(" (did you mean ", nearest, "?)"))};
}

RowFault RowChecker::MissingLabel() const {
  return {v1::RowIssue::KIND_MISSING_LABEL, columns_.label,
          "the label is missing or empty: give the row a label or leave it out"};
}

std::optional<RowFault> RowChecker::CheckLabel(const Cell& cell, CheckedRow& checked) {
  if (IsMissing(cell)) return MissingLabel();
  if (!kind_) kind_ = cell.type == Type::kList ? LabelKind::kMultiLabel : LabelKind::kSingleLabel;
  switch (*kind_) {
    case LabelKind::kSingleLabel:
      return CheckSingle(cell, checked);
    case LabelKind::kMultiLabel:
      return CheckMulti(cell, checked);
    case LabelKind::kRegression:
      return CheckNumber(cell, checked);
  }
  return std::nullopt;
}

std::optional<RowFault> RowChecker::CheckSingle(const Cell& cell, CheckedRow& checked) const {
  if (cell.type == Type::kList || cell.type == Type::kObject) {
    return RowFault{v1::RowIssue::KIND_BAD_JSON, columns_.label,
                    StrCat("the label is ", TypeName(cell.type),
                           ", and this dataset has one class a row: write a string or an integer",
                           cell.type == Type::kList ? ", or set label_kind to LABEL_KIND_MULTI_LABEL" : "")};
  }
  if (cell.type == Type::kFraction) {
    return RowFault{
        v1::RowIssue::KIND_BAD_JSON, columns_.label,
        StrCat("the label is the number ", Quoted(cell.text),
               ", which names no class: write a string or an integer, or set label_kind to LABEL_KIND_REGRESSION")};
  }
  const std::string_view name = TrimAscii(cell.text);
  if (name.empty()) return MissingLabel();
  checked.labels.push_back(name);
  return std::nullopt;
}

std::optional<RowFault> RowChecker::CheckMulti(const Cell& cell, CheckedRow& checked) const {
  if (cell.type != Type::kPlain && cell.type != Type::kList) {
    return RowFault{v1::RowIssue::KIND_BAD_JSON, columns_.label,
                    StrCat("the label is ", TypeName(cell.type),
                           ", and this dataset has any number of classes a row: write a list such as [\"a\", \"b\"]")};
  }
  if (cell.bad_item) {
    return RowFault{v1::RowIssue::KIND_BAD_JSON, columns_.label,
                    StrCat("the list of labels holds ", TypeName(*cell.bad_item), ": write strings or integers")};
  }
  const auto add = [&](std::string_view item) {
    const std::string_view name = TrimAscii(item);
    if (!name.empty()) AddOnce(name, checked.labels);
    return !name.empty();
  };
  const RowFault empty_name{v1::RowIssue::KIND_MISSING_LABEL, columns_.label,
                            "one of the labels is empty: name the class or leave it out of the list"};
  for (const std::string& item : cell.items) {
    if (!add(item)) return empty_name;
  }
  if (cell.type != Type::kPlain || TrimAscii(cell.text).empty()) return std::nullopt;  // a row may have no class at all
  std::string_view rest = cell.text;
  while (true) {
    const size_t bar = rest.find('|');
    if (!add(rest.substr(0, bar))) return empty_name;
    if (bar == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(bar + 1);
  }
}

std::optional<RowFault> RowChecker::CheckNumber(const Cell& cell, CheckedRow& checked) const {
  const bool may_be_number = IsText(cell) || cell.type == Type::kInteger || cell.type == Type::kFraction;
  const std::string_view text = TrimAscii(cell.text);
  if (may_be_number && text.empty()) return MissingLabel();
  if (!may_be_number || !absl::SimpleAtod(AbslView(text), &checked.value)) {
    return RowFault{v1::RowIssue::KIND_BAD_NUMBER, columns_.label,
                    StrCat("the label is ", may_be_number ? Quoted(text) : TypeName(cell.type),
                           ", not a number: write a number such as 3.5, or set label_kind to LABEL_KIND_SINGLE_LABEL")};
  }
  // Training computes in single precision, where larger numbers are infinite.
  if (!std::isfinite(checked.value) || std::fabs(checked.value) > FLT_MAX) {
    return RowFault{v1::RowIssue::KIND_BAD_NUMBER, columns_.label,
                    StrCat("the label is ", Quoted(text),
                           ", which is not finite in single precision: correct it or leave the row out")};
  }
  return std::nullopt;
}

}  // namespace attune::datasets
