// What is wrong with a page's markup: tags that do not match, attributes without quotes, scripts, handlers, anything
// that is loaded. Strict: knows only what the report may use. Header-only; pure.
//
//   EXPECT_THAT(FaultsOf(page), IsEmpty());
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"

namespace attune::cli {

class PageChecker {
 public:
  explicit PageChecker(const std::string& page) : page_(page) {
    for (size_t at = page_.find('<'); at != std::string::npos; at = page_.find('<', at)) at = Tag(at);
    for (const std::string& tag : open_) Fault("never closed: " + tag);
  }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  void Fault(const std::string& what) { faults_.push_back(what); }

  // Reads the tag at `at`; returns where it ends.
  size_t Tag(size_t at) {
    const bool closes = page_[at + 1] == '/';
    size_t end = at + (closes ? 2 : 1);
    std::string name;
    while (end < page_.size() && (std::isalnum(static_cast<unsigned char>(page_[end])) || page_[end] == '!'))
      name.push_back(page_[end++]);
    if (name == "!DOCTYPE") return page_.find('>', end);
    static const std::set<std::string> known = {
        "html",       "head", "meta",  "title",   "style",    "body",   "main", "header", "footer",
        "section",    "h1",   "h2",    "h3",      "p",        "div",    "span", "b",      "i",
        "ul",         "li",   "table", "thead",   "tbody",    "tr",     "th",   "td",     "figure",
        "figcaption", "svg",  "line",  "text",    "polyline", "circle", "rect", "img",    "blockquote",
        "small",      "code", "pre",   "details", "summary"};
    if (known.count(name) == 0) Fault("strange tag at: " + page_.substr(at, 60));
    end = closes ? end : Attributes(end);
    if (end >= page_.size() || page_[end] != '>') {
      Fault("no end of the tag at: " + page_.substr(at, 60));
      return at + 1;
    }
    Nest(name, closes);
    return end + 1;
  }

  void Nest(const std::string& name, bool closes) {
    if (name == "meta" || name == "img") return;
    if (!closes) return open_.push_back(name);
    if (open_.empty() || open_.back() != name)
      return Fault("closes " + name + (open_.empty() ? "" : " within " + open_.back()));
    open_.pop_back();
  }

  size_t Attributes(size_t at) {
    while (at < page_.size() && page_[at] == ' ') {
      size_t equals = ++at;
      while (equals < page_.size() && (std::isalnum(static_cast<unsigned char>(page_[equals])) || page_[equals] == '-'))
        ++equals;
      const std::string name = page_.substr(at, equals - at);
      if (page_.compare(equals, 2, "=\"") != 0) {
        Fault("attribute without value at: " + page_.substr(at, 60));
        return equals;
      }
      const size_t end = page_.find('"', equals + 2);
      const std::string value = page_.substr(equals + 2, end - equals - 2);
      if (absl::StartsWith(name, "on") || name == "href") Fault("may run or lead away: " + name);
      if (name == "src" && !absl::StartsWith(value, "data:image/png;base64,")) Fault("loads " + value.substr(0, 60));
      if (name == "style" &&
          (absl::StrContains(value, "url") || absl::StrContains(value, "nan") || absl::StrContains(value, "inf")))
        Fault("style " + value);
      if (value.find('<') != std::string::npos) Fault("unescaped value: " + value.substr(0, 60));
      at = end + 1;
    }
    return at;
  }

  const std::string& page_;
  std::vector<std::string> open_, faults_;
};

inline std::vector<std::string> FaultsOf(const std::string& page) { return PageChecker(page).faults(); }

}  // namespace attune::cli
