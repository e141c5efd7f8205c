// RowChecker: judges the cells of a row and takes from them what a dataset holds. Remembers the label kind once the
// first label has decided it. No I/O. Not thread-safe.
//
//   RowChecker checker(columns, std::nullopt);
//   CheckedRow checked;
//   if (std::optional<RowFault> fault = checker.Check(row, std::nullopt, checked)) issues.Add(*fault, ...);
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "server/datasets/formats/columns.h"
#include "server/datasets/formats/row.h"
#include "server/examples/example.h"

namespace attune::datasets {

// Views are as valid as those of the Row.
struct CheckedRow {
  std::string_view text;  // of a manifest: the path of the image
  std::string_view text_pair;
  bool has_text_pair = false;
  std::vector<std::string_view> labels;  // names, each once; one for single label
  double value = 0;                      // regression
  std::optional<examples::Split> split;  // absent: to be drawn
};

class RowChecker {
 public:
  // Without `kind` the first label decides: a list means multi-label, anything else single label.
  RowChecker(ColumnNames columns, std::optional<examples::LabelKind> kind)
      : columns_(std::move(columns)), kind_(kind) {}

  // The fault, or nothing and `checked` filled in. `file_split` is the split of all rows of the file; absent: the split
  // column's, if there is one.
  std::optional<RowFault> Check(const Row& row, std::optional<examples::Split> file_split, CheckedRow& checked);

  // Absent until it is decided.
  std::optional<examples::LabelKind> kind() const { return kind_; }

 private:
  std::optional<RowFault> CheckText(const Row& row, CheckedRow& checked) const;
  std::optional<RowFault> CheckImagePath(const Row& row, CheckedRow& checked) const;
  std::optional<RowFault> CheckSplit(const Row& row, CheckedRow& checked) const;
  std::optional<RowFault> CheckLabel(const Cell& cell, CheckedRow& checked);
  std::optional<RowFault> CheckSingle(const Cell& cell, CheckedRow& checked) const;
  std::optional<RowFault> CheckMulti(const Cell& cell, CheckedRow& checked) const;
  std::optional<RowFault> CheckNumber(const Cell& cell, CheckedRow& checked) const;
  RowFault MissingLabel() const;

  const ColumnNames columns_;
  std::optional<examples::LabelKind> kind_;
};

}  // namespace attune::datasets
