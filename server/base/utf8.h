// Whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF), and cutting them. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace attune {

// Position of the first byte that does not belong to a valid character; nothing when all of `text` is UTF-8.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

// The start of `text`, at most so many bytes and no part of a character: what messages show of a value. Clients refuse
// a message with half a character in it.
std::string_view Utf8Prefix(std::string_view text, size_t max_bytes);

}  // namespace attune
