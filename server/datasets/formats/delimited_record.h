// The grammar of CSV and TSV (RFC 4180): finds the end and the fields of one record. Pure.
//
// Looser than the RFC where files in the wild are: lines may end in LF, quotes may stand inside an unquoted field and
// are kept, and the last line needs no end. A lone CR is data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attune::datasets {

struct DelimitedField {
  std::string_view raw;  // without the enclosing quotes
  bool quoted = false;
  bool doubled = false;  // holds "" where " is meant
  // The value; `scratch` holds it when it is not in the input as such.
  std::string_view Value(std::string& scratch) const;
};

enum class RecordEnd {
  kComplete,
  kNeedMore,    // the window ends before the record does
  kOpenQuote,   // the input ends inside quotes
  kAfterQuote,  // something follows a closing quote
};

struct DelimitedRecord {
  RecordEnd end = RecordEnd::kNeedMore;
  size_t bytes = 0;  // with the line's end; when complete
  size_t fields = 0;
  bool quoted = false;  // some field is
};

// Scans the record that starts `window`; calls on_field(index, field) for each of its fields. `at_end`: nothing follows
// the window.
template <typename OnField>
DelimitedRecord ScanRecord(std::string_view window, char delimiter, bool at_end, OnField&& on_field) {
  DelimitedRecord record;
  const size_t size = window.size();
  size_t position = 0;
  while (true) {
    DelimitedField field;
    size_t after = position;
    if (position < size && window[position] == '"') {
      field.quoted = record.quoted = true;
      size_t scan = position + 1;
      size_t close = 0;
      while (true) {
        close = window.find('"', scan);
        if (close == std::string_view::npos || (close + 1 == size && !at_end)) {
          record.end = at_end ? RecordEnd::kOpenQuote : RecordEnd::kNeedMore;
          return record;
        }
        if (close + 1 == size || window[close + 1] != '"') break;
        field.doubled = true;
        scan = close + 2;
      }
      field.raw = window.substr(position + 1, close - position - 1);
      after = close + 1;
      // A CR that is followed by LF belongs to the line's end.
      if (after < size && window[after] == '\r') {
        if (after + 1 == size && !at_end) return record;
        if (after + 1 == size || window[after + 1] == '\n') ++after;
      }
      if (after < size && window[after] != delimiter && window[after] != '\n') {
        record.end = RecordEnd::kAfterQuote;
        return record;
      }
    } else {
      while (after < size && window[after] != delimiter && window[after] != '\n') ++after;
      field.raw = window.substr(position, after - position);
    }
    if (after == size && !at_end) return record;
    const bool line_ends = after == size || window[after] == '\n';
    if (line_ends && !field.quoted && field.raw.ends_with('\r')) field.raw.remove_suffix(1);
    on_field(record.fields++, field);
    if (line_ends) {
      record.end = RecordEnd::kComplete;
      record.bytes = after == size ? size : after + 1;
      return record;
    }
    position = after + 1;
  }
}

}  // namespace attune::datasets
