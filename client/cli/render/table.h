// A table of texts in aligned columns under a header. Built, then rendered; pure.
//
//   Table table({{"NAME"}, {"ROWS", Align::kRight}});
//   table.AddRow({"reviews", "5,000"});
//   out << table.Render(style);
#pragma once

#include <string>
#include <vector>

#include "client/cli/render/style.h"

namespace attune::cli {

enum class Align { kLeft, kRight };

struct Column {
  std::string header;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Cells may carry ANSI codes. Missing cells are empty.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Lines with line ends. The widest left-aligned column without ANSI codes gives way when style.width does not
  // suffice.
  std::string Render(const Style& style) const;

 private:
  std::vector<int> Widths(const Style& style) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "  key     value" lines with aligned values; empty values are left out.
std::string KeyValues(const std::vector<std::pair<std::string, std::string>>& entries, const Style& style,
                      int indent = 2);

}  // namespace attune::cli
