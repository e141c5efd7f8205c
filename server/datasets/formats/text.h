// Looking at text, and showing it in messages. Pure; thread-safe. (Whether bytes are UTF-8 at all: server/base/utf8.h.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace attune::datasets {

// Whether `text`, which must be UTF-8, is empty or only white space (Unicode's White_Space).
bool IsBlank(std::string_view text);

// `text` without ASCII white space at both ends.
std::string_view TrimAscii(std::string_view text);

// White-space separated words (ASCII white space).
int32_t CountWords(std::string_view text);

// `text` for a message: always UTF-8, on one line, cut to about `max_bytes`. Bytes that are no UTF-8 and control
// characters show as \xNN.
std::string Printable(std::string_view text, size_t max_bytes = 60);
// The same in single quotes.
std::string Quoted(std::string_view text, size_t max_bytes = 60);

}  // namespace attune::datasets
