#include "client/cli/report/markup/html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

std::string Escape(std::string_view text) {
  return absl::StrReplaceAll(OneLine(text),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string OpenTag(Literal tag, const std::vector<Attribute>& attributes) {
  std::string text = StrCat("<", tag.text());
  for (const Attribute& attribute : attributes)
    StrAppend(&text, " ", attribute.name.text(), "=\"", Escape(attribute.value), "\"");
  return text + ">";
}

}  // namespace

Html& Html::Add(const Html& more) {
  text_ += more.text_;
  return *this;
}

Html Text(std::string_view text) {
  Html html;
  html.text_ = Escape(text);
  return html;
}

Html Lines(std::string_view text) {
  std::vector<std::string> lines = absl::StrSplit(AbslView(text), '\n');
  for (std::string& line : lines) line = Escape(line);
  Html html;
  html.text_ = absl::StrJoin(lines, "\n");
  return html;
}

Html Element(Literal tag, const std::vector<Attribute>& attributes, const Html& content) {
  Html html;
  html.text_ = StrCat(OpenTag(tag, attributes), content.text(), "</", tag.text(), ">");
  return html;
}

Html Empty(Literal tag, const std::vector<Attribute>& attributes) {
  Html html;
  html.text_ = OpenTag(tag, attributes);
  return html;
}

Html Join(const std::vector<Html>& parts) {
  Html html;
  for (const Html& part : parts) html.Add(part);
  return html;
}

Html Section(Literal id, Literal title, const Html& content) {
  return Element("section", {{"id", std::string(id.text())}},
                 Join({Element("h2", {}, Text(title.text())), content, Html("\n")}));
}

Html Note(std::string_view text) { return Element("p", {{"class", "note"}}, Text(text)); }

void HtmlTable::AddRow(const std::vector<Html>& cells) {
  Html row;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const std::vector<Attribute> attributes =
        columns_[i].is_number ? std::vector<Attribute>{{"class", "n"}} : std::vector<Attribute>{};
    row.Add(Element("td", attributes, i < cells.size() ? cells[i] : Html()));
  }
  rows_.Add(Element("tr", {}, row)).Add(Html("\n"));
}

Html HtmlTable::Render() const {
  Html header;
  for (const HtmlColumn& column : columns_) {
    const std::vector<Attribute> attributes =
        column.is_number ? std::vector<Attribute>{{"class", "n"}} : std::vector<Attribute>{};
    header.Add(Element("th", attributes, Text(column.title)));
  }
  const Html table =
      Element("table", {}, Join({Element("thead", {}, Element("tr", {}, header)), Element("tbody", {}, rows_)}));
  return Element("div", {{"class", "wide"}}, table);
}

Html Bar(double share, std::string_view text) {
  const double width = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) * 100 : 0;
  return Join({Element("span", {{"class", "bar"}}, Element("i", {{"style", StrCat("width:", Coordinate(width), "%")}})),
               Element("span", {{"class", "value"}}, Text(text))});
}

Html Picture(std::string_view png, std::string_view alternative) {
  std::string data;
  absl::Base64Escape(AbslView(png), &data);
  return Empty("img", {{"alt", std::string(alternative)}, {"src", StrCat("data:image/png;base64,", data)}});
}

std::string Coordinate(double value) {
  if (!std::isfinite(value)) return "0";
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.2f", std::clamp(value, -1e9, 1e9));
  std::string text = buffer;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace attune::cli
