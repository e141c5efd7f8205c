// JsonlRow: the wanted members of one JSON object, by nlohmann's SAX parser: no tree is built, nesting costs no stack,
// and the strings of a row are used again for the next. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/datasets/formats/columns.h"
#include "server/datasets/formats/row.h"

namespace attune::datasets {

class JsonlRow {
 public:
  explicit JsonlRow(const ColumnNames& names) : wanted_(WantedColumns(names)) {}

  // Parses `line`, which must be UTF-8, into the cells of `row` or its fault. Of a member that is there twice the last
  // counts, as in Python.
  void Parse(std::string_view line, Row& row);

  // Whether any object so far had the wanted column at this position of WantedColumns.
  bool seen(size_t slot) const { return seen_[slot]; }
  // Names of members met so far (the first 100).
  const std::vector<std::string>& names() const { return names_; }

  // The SAX interface of nlohmann::json.
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;
  bool null() { return Scalar(Cell::Type::kNull, {}); }
  bool boolean(bool value) { return Scalar(Cell::Type::kBool, value ? "true" : "false"); }
  bool number_integer(int64_t value) { return Scalar(Cell::Type::kInteger, std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return Scalar(Cell::Type::kInteger, std::to_string(value)); }
  bool number_float(double value, const string_t& spelled) { return Scalar(Cell::Type::kFraction, spelled); }
  bool string(string_t& value) { return Scalar(Cell::Type::kString, std::move(value)); }
  bool binary(binary_t&) { return false; }  // not in JSON
  bool start_object(size_t);
  bool end_object();
  bool start_array(size_t);
  bool end_array();
  bool key(string_t& name);
  bool parse_error(size_t position, const std::string& last_token, const nlohmann::json::exception& error);

 private:
  static constexpr size_t kNone = kWantedColumns;

  bool Scalar(Cell::Type type, std::string text);
  Cell& cell() { return row_->*wanted_[slot_].cell; }
  void NoteName(const std::string& name);

  const std::array<WantedColumn, kWantedColumns> wanted_;
  std::array<std::string, kWantedColumns> values_;  // what the cells' views point to
  std::array<bool, kWantedColumns> seen_{};
  std::vector<std::string> names_;
  Row* row_ = nullptr;
  std::string_view line_;
  size_t depth_ = 0;
  size_t slot_ = kNone;  // of the member that is being read
  bool is_object_ = false;
};

}  // namespace attune::datasets
