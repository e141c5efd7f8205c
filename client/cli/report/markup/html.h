// Html: markup that is right by construction. Its only makers are literals of this program (checked by the compiler)
// and functions that escape, so a label, file name or text from data cannot become markup. A value; pure.
//
//   Html cell = Element("td", {{"class", "number"}, {"title", label}}, Text(Count(rows)));
//   table.Add(Element("tr", {}, cell));
//   file << table.text();
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attune::cli {

// A text of the program itself. Does not compile for anything else.
class Literal {
 public:
  consteval Literal(const char* text) : text_(text) {}  // NOLINT: "td" is to be a Literal by itself
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

struct Attribute {
  Literal name;
  std::string value;  // any text; escaped
};

class Html {
 public:
  Html() = default;
  // Markup as it is.
  explicit Html(Literal markup) : text_(markup.text()) {}
  Html& Add(const Html& more);
  bool empty() const { return text_.empty(); }
  size_t size() const { return text_.size(); }
  const std::string& text() const { return text_; }

 private:
  friend Html Text(std::string_view text);
  friend Html Lines(std::string_view text);
  friend Html Empty(Literal tag, const std::vector<Attribute>& attributes);
  friend Html Element(Literal tag, const std::vector<Attribute>& attributes, const Html& content);

  std::string text_;
};

// Any bytes as text on one line: control characters become spaces, invalid UTF-8 '?', markup is escaped.
Html Text(std::string_view text);
// The same, but line ends stay.
Html Lines(std::string_view text);
// <tag a="..">content</tag>
Html Element(Literal tag, const std::vector<Attribute>& attributes, const Html& content = Html());
// Elements that have no end: <img>, <meta>, <br>.
Html Empty(Literal tag, const std::vector<Attribute>& attributes);
// All of them, one after the other.
Html Join(const std::vector<Html>& parts);

// A part of the page under a heading, which links can lead to.
Html Section(Literal id, Literal title, const Html& content);
// A remark in small letters.
Html Note(std::string_view text);

// A table with a header; `numbers` says which columns are aligned right.
struct HtmlColumn {
  std::string title;
  bool is_number = false;
};
class HtmlTable {
 public:
  explicit HtmlTable(std::vector<HtmlColumn> columns) : columns_(std::move(columns)) {}
  // Cells beyond the columns are dropped, missing ones empty.
  void AddRow(const std::vector<Html>& cells);
  bool empty() const { return rows_.empty(); }
  Html Render() const;

 private:
  std::vector<HtmlColumn> columns_;
  Html rows_;
};

// A bar whose length is a share of its cell, with the value's text beside it.
Html Bar(double share, std::string_view text);

// A picture in the page itself. `png` are the bytes of a PNG.
Html Picture(std::string_view png, std::string_view alternative);

// A number for SVG and CSS: at most two digits behind the point, "0" for what is not finite.
std::string Coordinate(double value);

}  // namespace attune::cli
