// Whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace attune {

// Position of the first byte that does not belong to a valid character; nothing when all of `text` is UTF-8.
std::optional<size_t> FirstInvalidUtf8(std::string_view text);

}  // namespace attune
