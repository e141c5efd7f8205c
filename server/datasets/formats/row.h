// What a RowReader hands over: the cells of one row, not yet judged. Plain values; views stay valid until the reader's
// next Next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attune/v1/dataset.pb.h"

namespace attune::datasets {

struct Cell {
  enum class Type {
    kAbsent,    // there is no such column in this row
    kPlain,     // CSV and TSV: text that may mean anything
    kString,    // JSON
    kInteger,   // JSON; text is the number in decimal
    kFraction,  // JSON; text is the number as written
    kBool,      // JSON; text is "true" or "false"
    kNull,      // JSON
    kList,      // JSON; items are the elements
    kObject,    // JSON
  };
  Type type = Type::kAbsent;
  std::string_view text;
  std::vector<std::string> items;  // of a list: strings, integers and booleans, as text
  std::optional<Type> bad_item;    // the first element of a list that is something else
};

// "a number", "a list", ...: for messages.
const char* TypeName(Cell::Type type);

struct RowFault {
  v1::RowIssue::Kind kind = v1::RowIssue::KIND_UNSPECIFIED;
  std::string column;   // empty: the row as a whole
  std::string message;  // what is wrong and what to do
};

struct Row {
  int64_t line = 0;               // 1-based line on which the row starts
  std::optional<RowFault> fault;  // set: the row cannot be read and its cells mean nothing
  Cell text;
  Cell text_pair;
  Cell label;
  Cell split;
};

}  // namespace attune::datasets
