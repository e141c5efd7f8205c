#include "server/base/utf8.h"

#include <cstdint>
#include <cstring>

namespace attune {
namespace {

struct Lead {
  size_t length;         // of the whole character; 0 for a byte that cannot start one
  unsigned char lowest;  // bounds of the second byte, which exclude overlong forms, surrogates and values over U+10FFFF
  unsigned char highest;
};

Lead Classify(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

std::optional<size_t> FirstInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    // Eight ASCII bytes at a time: most text is mostly that.
    uint64_t block;
    if (text.size() - at >= sizeof(block)) {
      std::memcpy(&block, text.data() + at, sizeof(block));
      if ((block & 0x8080808080808080u) == 0) {
        at += sizeof(block);
        continue;
      }
    }
    const Lead lead = Classify(static_cast<unsigned char>(text[at]));
    if (lead.length == 0 || lead.length > text.size() - at) return at;
    for (size_t i = 1; i < lead.length; ++i) {
      const auto byte = static_cast<unsigned char>(text[at + i]);
      const unsigned char lowest = i == 1 ? lead.lowest : 0x80;
      const unsigned char highest = i == 1 ? lead.highest : 0xBF;
      if (byte < lowest || byte > highest) return at;
    }
    at += lead.length;
  }
  return std::nullopt;
}

std::string_view Utf8Prefix(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace attune
