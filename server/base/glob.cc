#include "server/base/glob.h"

#include <string>

#include "absl/strings/escaping.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

// The set that starts at pattern[start] == '['. `end` is the position after ']', or npos when unclosed.
struct Set {
  std::string_view members;
  size_t end = std::string_view::npos;
};

Set ParseSet(std::string_view pattern, size_t start) {
  size_t close = pattern.find(']', start + 1);
  if (close == std::string_view::npos) return {};
  return {pattern.substr(start + 1, close - start - 1), close + 1};
}

bool SetContains(std::string_view members, char c) {
  for (size_t i = 0; i < members.size(); ++i) {
    if (i + 2 < members.size() && members[i + 1] == '-') {
      if (members[i] <= c && c <= members[i + 2]) return true;
      i += 2;
    } else if (members[i] == c) {
      return true;
    }
  }
  return false;
}

absl::Status CheckSet(std::string_view pattern, std::string_view members) {
  if (members.empty()) {
    return absl::InvalidArgumentError(StrCat("pattern \"", pattern, "\" has an empty set []"));
  }
  if (members[0] == '!' || members[0] == '^') {
    return absl::InvalidArgumentError(
        StrCat("pattern \"", pattern, "\" has a negated set; list the characters that shall match instead"));
  }
  for (size_t i = 0; i + 2 < members.size(); ++i) {
    if (members[i + 1] != '-') continue;
    if (members[i] > members[i + 2]) {
      // Its ends may be parts of characters.
      return absl::InvalidArgumentError(StrCat("pattern \"", pattern, "\" has the reversed range ",
                                               absl::CHexEscape(AbslView(members.substr(i, 3))),
                                               "; write the smaller one first"));
    }
    i += 2;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckGlob(std::string_view pattern) {
  if (pattern.empty()) return absl::InvalidArgumentError("pattern is empty; use * to match every name");
  for (size_t i = 0; i < pattern.size();) {
    if (pattern[i] != '[') {
      ++i;
      continue;
    }
    Set set = ParseSet(pattern, i);
    if (set.end == std::string_view::npos) {
      return absl::InvalidArgumentError(StrCat("pattern \"", pattern, "\" has a '[' without its ']'"));
    }
    if (absl::Status status = CheckSet(pattern, set.members); !status.ok()) return status;
    i = set.end;
  }
  return absl::OkStatus();
}

// Linear two-pointer matching: on a mismatch only the last '*' needs to take one character more, so hostile patterns
// cost pattern x name and never more.
bool GlobMatches(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;  // after the last '*'
  size_t star_name = 0;                  // where its match ends so far
  while (n < name.size()) {
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = ++p;
        star_name = n;
        continue;
      }
      if (pattern[p] == '[') {
        Set set = ParseSet(pattern, p);
        if (set.end == std::string_view::npos) return false;
        if (SetContains(set.members, name[n])) {
          p = set.end;
          ++n;
          continue;
        }
      } else if (pattern[p] == '?' || pattern[p] == name[n]) {
        ++p;
        ++n;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star;
    n = ++star_name;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace attune
