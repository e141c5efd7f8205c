// What the tests of formats share: reads all rows of a file that holds `content`.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/format.h"

namespace attune::datasets {

inline std::string CellText(const Cell& cell) {
  switch (cell.type) {
    case Cell::Type::kAbsent:
      return "-";
    case Cell::Type::kNull:
      return "null";
    case Cell::Type::kObject:
      return "object";
    case Cell::Type::kList: {
      std::string out = "[";
      for (const std::string& item : cell.items) StrAppend(&out, out.size() > 1 ? "," : "", item);
      if (cell.bad_item) StrAppend(&out, "!", TypeName(*cell.bad_item));
      return out + "]";
    }
    default:
      return std::string(cell.text);
  }
}

struct ReadRow {
  int64_t line = 0;
  std::string cells;  // text|text_pair|label|split; "-" for an absent one
  v1::RowIssue::Kind fault = v1::RowIssue::KIND_UNSPECIFIED;
  std::string column;
  std::string message;
};

inline std::string WriteTemporary(const TemporaryDirectory& directory, const std::string& filename,
                                  const std::string& content) {
  const std::string path = directory.path() + "/" + filename;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

inline absl::StatusOr<std::vector<ReadRow>> ReadRows(const std::string& filename, const std::string& content,
                                                     ReaderOptions options = {}) {
  TemporaryDirectory directory;
  options.file.path = WriteTemporary(directory, filename, content);
  options.file.filename = filename;
  ATTUNE_ASSIGN_OR_RETURN(const Format* format, FindFormat(v1::FILE_FORMAT_UNSPECIFIED, filename));
  ATTUNE_ASSIGN_OR_RETURN(auto reader, format->open(options));
  std::vector<ReadRow> rows;
  Row row;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(row));
    if (!got) return rows;
    ReadRow read{.line = row.line};
    if (row.fault) {
      read.fault = row.fault->kind;
      read.column = row.fault->column;
      read.message = row.fault->message;
    } else {
      read.cells =
          CellText(row.text) + "|" + CellText(row.text_pair) + "|" + CellText(row.label) + "|" + CellText(row.split);
    }
    rows.push_back(read);
  }
}

}  // namespace attune::datasets
