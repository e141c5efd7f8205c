#include "server/datasets/formats/jsonl_row.h"

#include <algorithm>
#include <utility>

#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kNamesKept = 100;

constexpr std::string_view kWanted =
    "each line must be one JSON object such as {\"text\": \"...\", \"label\": \"...\"}";

// nlohmann's text without its own error number and place, which mean nothing to the person who wrote the file.
std::string Detail(const std::string& what) {
  const size_t start = what.find("syntax error");
  const std::string_view text = std::string_view(what).substr(start == std::string::npos ? 0 : start);
  const std::string quoted = Quoted(text, 160);
  return quoted.substr(1, quoted.size() - 2);
}

// What Python's json and pandas write for numbers that JSON does not have.
bool IsPythonNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.starts_with("NaN") || text.starts_with("Infinity");
}

}  // namespace

void JsonlRow::Parse(std::string_view line, Row& row) {
  row_ = &row;
  line_ = line;
  depth_ = 0;
  slot_ = kNone;
  is_object_ = false;
  row.fault.reset();
  for (const WantedColumn& wanted : wanted_) {
    Cell& cell = row.*wanted.cell;
    cell.type = Cell::Type::kAbsent;
    cell.text = {};
    cell.items.clear();
    cell.bad_item.reset();
  }
  const bool parsed = nlohmann::json::sax_parse(line.begin(), line.end(), this);
  if (!parsed || row.fault) return;
  if (!is_object_) {
    row.fault = RowFault{v1::RowIssue::KIND_BAD_JSON, "",
                         StrCat("the line is JSON, but not an object: ", kWanted,
                                TrimAscii(line).starts_with('[') ? "; jq -c '.[]' turns a list into lines" : "")};
  }
}

bool JsonlRow::Scalar(Cell::Type type, std::string text) {
  if (slot_ == kNone) return true;
  if (depth_ == 1) {
    values_[slot_] = std::move(text);
    cell().type = type;
    cell().text = values_[slot_];
  } else if (depth_ == 2 && cell().type == Cell::Type::kList) {
    const bool good = type == Cell::Type::kString || type == Cell::Type::kInteger || type == Cell::Type::kBool;
    if (good) {
      cell().items.push_back(std::move(text));
    } else if (!cell().bad_item) {
      cell().bad_item = type;
    }
  }
  return true;
}

bool JsonlRow::start_object(size_t) {
  if (depth_ == 0) is_object_ = true;
  if (slot_ != kNone && depth_ == 1) cell().type = Cell::Type::kObject;
  if (slot_ != kNone && depth_ == 2 && cell().type == Cell::Type::kList && !cell().bad_item)
    cell().bad_item = Cell::Type::kObject;
  ++depth_;
  return true;
}

bool JsonlRow::end_object() {
  --depth_;
  return true;
}

bool JsonlRow::start_array(size_t) {
  if (slot_ != kNone && depth_ == 1) {
    cell().type = Cell::Type::kList;
    cell().items.clear();
    cell().bad_item.reset();
  } else if (slot_ != kNone && depth_ == 2 && cell().type == Cell::Type::kList && !cell().bad_item) {
    cell().bad_item = Cell::Type::kList;
  }
  ++depth_;
  return true;
}

bool JsonlRow::end_array() {
  --depth_;
  return true;
}

bool JsonlRow::key(string_t& name) {
  if (depth_ != 1 || !is_object_) return true;
  slot_ = kNone;
  for (size_t slot = 0; slot < wanted_.size(); ++slot) {
    if (!wanted_[slot].name.empty() && wanted_[slot].name == name) {
      slot_ = slot;
      seen_[slot] = true;
    }
  }
  NoteName(name);
  return true;
}

void JsonlRow::NoteName(const std::string& name) {
  // Rows of one file mostly have the same members, in the same order: after a few rows every name is found near the
  // front.
  if (names_.size() < kNamesKept && std::find(names_.begin(), names_.end(), name) == names_.end())
    names_.push_back(name);
}

bool JsonlRow::parse_error(size_t position, const std::string& last_token, const nlohmann::json::exception& error) {
  const std::string column = slot_ == kNone || depth_ != 1 ? "" : wanted_[slot_].name;
  constexpr int kNumberOverflow = 406;
  if (error.id == kNumberOverflow) {
    row_->fault = RowFault{v1::RowIssue::KIND_BAD_NUMBER, column,
                           StrCat("the number ", Quoted(last_token), " is too large: correct it or leave the row out")};
    return false;
  }
  // `position` is behind the character that could not be; the literal may have started a little before it.
  const size_t from = position > 10 ? position - 10 : 0;
  for (size_t i = from; i < std::min(position, line_.size()); ++i) {
    if (!IsPythonNumber(line_.substr(i))) continue;
    row_->fault = RowFault{
        v1::RowIssue::KIND_BAD_NUMBER, column,
        "NaN and Infinity are not JSON and cannot be learned from: give the row a finite number or leave it out"};
    return false;
  }
  row_->fault = RowFault{v1::RowIssue::KIND_BAD_JSON, "",
                         StrCat("not JSON at position ", position, " (", Detail(error.what()), "): ", kWanted)};
  return false;
}

}  // namespace attune::datasets
