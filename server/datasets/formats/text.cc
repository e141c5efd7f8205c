#include "server/datasets/formats/text.h"

#include "server/base/utf8.h"

namespace attune::datasets {
namespace {

bool IsAsciiSpace(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Length of the character that starts at `at`; 0 when there is none.
size_t CharacterLength(std::string_view text, size_t at) {
  for (size_t length = 1; length <= 4 && at + length <= text.size(); ++length) {
    if (!FirstInvalidUtf8(text.substr(at, length))) return length;
  }
  return 0;
}

uint32_t Decode(const unsigned char* p, size_t length) {
  if (length == 1) return p[0];
  uint32_t code = p[0] & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) code = (code << 6) | (p[i] & 0x3Fu);
  return code;
}

bool IsWhiteSpace(uint32_t code) {
  return code == ' ' || (code >= 0x09 && code <= 0x0D) || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
         code == 0x3000;
}

void AppendEscaped(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\x";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

}  // namespace

bool IsBlank(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (size_t i = 0; i < text.size();) {
    const size_t length = CharacterLength(text, i);
    if (length == 0 || !IsWhiteSpace(Decode(bytes + i, length))) return false;
    i += length;
  }
  return true;
}

std::string_view TrimAscii(std::string_view text) {
  while (!text.empty() && IsAsciiSpace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && IsAsciiSpace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

int32_t CountWords(std::string_view text) {
  int32_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = IsAsciiSpace(static_cast<unsigned char>(c));
    words += static_cast<int32_t>(!space && !inside);
    inside = !space;
  }
  return words;
}

std::string Printable(std::string_view text, size_t max_bytes) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string out;
  size_t i = 0;
  while (i < text.size() && out.size() < max_bytes) {
    const size_t length = CharacterLength(text, i);
    if (length == 0 || (length == 1 && (bytes[i] < 0x20 || bytes[i] == 0x7F))) {
      AppendEscaped(out, bytes[i]);
      ++i;
    } else {
      out.append(text.substr(i, length));
      i += length;
    }
  }
  if (i < text.size()) out += "...";
  return out;
}

std::string Quoted(std::string_view text, size_t max_bytes) { return "'" + Printable(text, max_bytes) + "'"; }

}  // namespace attune::datasets
