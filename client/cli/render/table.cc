#include "client/cli/render/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kGap = 2;
constexpr int kLeastWidth = 8;

bool HasAnsi(const std::string& text) { return text.find('\x1b') != std::string::npos; }

std::string Pad(const std::string& text, int width, Align align) {
  const std::string space = Spaces(width - DisplayWidth(text));
  return align == Align::kRight ? space + text : text + space;
}

void TrimRight(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::Widths(const Style& style) const {
  std::vector<int> widths;
  std::vector<bool> flexible;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int width = DisplayWidth(columns_[c].header);
    bool plain = columns_[c].align == Align::kLeft;
    for (const auto& row : rows_) {
      width = std::max(width, DisplayWidth(row[c]));
      plain = plain && !HasAnsi(row[c]);
    }
    widths.push_back(width);
    flexible.push_back(plain);
  }
  if (style.width <= 0) return widths;
  int over = std::accumulate(widths.begin(), widths.end(), kGap * (static_cast<int>(widths.size()) - 1)) - style.width;
  while (over > 0) {
    int widest = -1;
    for (size_t c = 0; c < widths.size(); ++c) {
      if (flexible[c] && (widest < 0 || widths[c] > widths[static_cast<size_t>(widest)])) widest = static_cast<int>(c);
    }
    if (widest < 0) break;
    int& width = widths[static_cast<size_t>(widest)];
    const int cut = std::min(over, width - kLeastWidth);
    if (cut <= 0) break;
    width -= cut;
    over -= cut;
  }
  return widths;
}

std::string Table::Render(const Style& style) const {
  const std::vector<int> widths = Widths(style);
  std::string text, line;
  for (size_t c = 0; c < columns_.size(); ++c) {
    StrAppend(&line, c > 0 ? Spaces(kGap) : "", Pad(columns_[c].header, widths[c], columns_[c].align));
  }
  TrimRight(line);
  StrAppend(&text, Paint(style, Colour::kBold, line), "\n");
  for (const auto& row : rows_) {
    line.clear();
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string cell = HasAnsi(row[c]) ? row[c] : Fit(row[c], widths[c], style.unicode);
      StrAppend(&line, c > 0 ? Spaces(kGap) : "", Pad(cell, widths[c], columns_[c].align));
    }
    TrimRight(line);
    StrAppend(&text, line, "\n");
  }
  return text;
}

std::string KeyValues(const std::vector<std::pair<std::string, std::string>>& entries, const Style& style, int indent) {
  int width = 0;
  for (const auto& [key, value] : entries) {
    if (!value.empty()) width = std::max(width, DisplayWidth(key));
  }
  std::string text;
  for (const auto& [key, value] : entries) {
    if (value.empty()) continue;
    StrAppend(&text, Spaces(indent), Paint(style, Colour::kDim, key), Spaces(width - DisplayWidth(key) + kGap), value,
              "\n");
  }
  return text;
}

}  // namespace attune::cli
