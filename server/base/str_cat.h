// StrCat and StrAppend that take std::string_view. Debian's Abseil is built as C++14, where absl::string_view is a type
// of its own: std::string converts to it by itself, std::string_view does not. Everything else is as in
// absl/strings/str_cat.h. Pure.
//
//   return absl::InvalidArgumentError(StrCat("no such column: ", name));       // name: std::string_view
//   absl::CEscape(AbslView(name));                                            // for other functions of Abseil
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace attune {

inline absl::string_view AbslView(std::string_view text) { return {text.data(), text.size()}; }

namespace internal {
template <typename T>
const T& AbslArgument(const T& value) {
  return value;
}
inline absl::string_view AbslArgument(std::string_view text) { return AbslView(text); }
}  // namespace internal

template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(internal::AbslArgument(args)...);
}

template <typename... Args>
void StrAppend(std::string* text, const Args&... args) {
  absl::StrAppend(text, internal::AbslArgument(args)...);
}

}  // namespace attune
