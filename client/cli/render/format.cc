#include "client/cli/render/format.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

template <typename... Args>
std::string Printf(const char* format, Args... args) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), format, args...);
  return buffer;
}

struct Rune {
  char32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

// The character that `text` (not empty) begins with.
Rune FirstRune(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return {};
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  const bool too_long = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (too_long || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes, true};
}

bool IsControl(char32_t c) {
  // C0, DEL and C1; then what reorders or hides text.
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

int RuneWidth(char32_t c) {
  if (IsControl(c)) return 0;
  const bool combining = (c >= 0x300 && c <= 0x36F) || (c >= 0x1AB0 && c <= 0x1AFF) || (c >= 0x20D0 && c <= 0x20FF) ||
                         (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x200B && c <= 0x200F);
  if (combining) return 0;
  const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) || (c >= 0xAC00 && c <= 0xD7A3) ||
                    (c >= 0xF900 && c <= 0xFAFF) || (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                    (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1F64F) || (c >= 0x1F680 && c <= 0x1F6FF) ||
                    (c >= 0x1F900 && c <= 0x1FAFF) || (c >= 0x20000 && c <= 0x3FFFD);
  return wide ? 2 : 1;
}

}  // namespace

std::string Count(int64_t value) {
  std::string digits = std::to_string(value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value));
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), 1, ',');
  return value < 0 ? "-" + digits : digits;
}

std::string Bytes(int64_t bytes) {
  if (std::abs(bytes) < 1000) return StrCat(bytes, " B");
  const char* units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // 999.95 would round to 1000.
  for (value /= 1000; std::abs(value) >= 999.95 && unit < 5; ++unit) value /= 1000;
  return Printf(std::abs(value) < 9.995 ? "%.2f %s" : "%.1f %s", value, units[unit]);
}

std::string Number(double value) { return Printf("%.4g", value); }

std::string Percent(double fraction) { return Printf("%.1f %%", fraction * 100); }

std::string Duration(double seconds) {
  seconds = std::max(0.0, seconds);
  if (seconds < 9.95) return Printf(seconds < 0.995 ? "%.2f s" : "%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return StrCat(whole, " s");
  if (whole < 3600) return Printf("%d min %02d s", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  if (whole < 86400) return Printf("%d h %02d min", static_cast<int>(whole / 3600), static_cast<int>(whole / 60 % 60));
  return StrCat(whole / 86400, " d ", whole / 3600 % 24, " h");
}

std::string Remaining(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 1e9)));
  const int hours = static_cast<int>(whole / 3600), minutes = static_cast<int>(whole / 60 % 60),
            rest = static_cast<int>(whole % 60);
  return hours > 0 ? Printf("%d:%02d:%02d", hours, minutes, rest) : Printf("%d:%02d", minutes, rest);
}

std::string TimeOfDay(absl::Time time) { return absl::FormatTime("%H:%M:%S", time, absl::LocalTimeZone()); }

std::string DateAndTime(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone()); }

std::string Ago(absl::Time time, absl::Time now) {
  const int64_t seconds = absl::ToInt64Seconds(now - time);
  if (seconds < 5) return "now";
  if (seconds < 60) return StrCat(seconds, " s ago");
  if (seconds < 3600) return StrCat(seconds / 60, " min ago");
  if (seconds < 86400) return StrCat(seconds / 3600, " h ago");
  if (seconds < 30 * 86400) return StrCat(seconds / 86400, " d ago");
  return absl::FormatTime("%Y-%m-%d", time, absl::LocalTimeZone());
}

absl::Time ToTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    if (text.size() > 1 && text[0] == '\x1b' && text[1] == '[') {
      const size_t end = text.find_first_of("mAKJ", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      continue;
    }
    const Rune rune = FirstRune(text);
    width += rune.valid ? RuneWidth(rune.code) : 1;
    text.remove_prefix(rune.bytes);
  }
  return width;
}

std::string Fit(std::string_view text, int width, bool unicode) {
  if (DisplayWidth(text) <= width) return std::string(text);
  const std::string mark = unicode ? "…" : "...";
  int left = width - (unicode ? 1 : 3);
  if (left < 0) return std::string(static_cast<size_t>(std::max(0, width)), '.');
  size_t end = 0;
  while (end < text.size()) {
    const Rune rune = FirstRune(text.substr(end));
    left -= rune.valid ? RuneWidth(rune.code) : 1;
    if (left < 0) break;
    end += rune.bytes;
  }
  return StrCat(text.substr(0, end), mark);
}

std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const Rune rune = FirstRune(text);
    if (!rune.valid) {
      line.push_back('?');
    } else if (IsControl(rune.code)) {
      line.push_back(' ');
    } else {
      line.append(text.substr(0, rune.bytes));
    }
    text.remove_prefix(rune.bytes);
  }
  return line;
}

std::string Spaces(int count) { return std::string(static_cast<size_t>(std::max(0, count)), ' '); }

}  // namespace attune::cli
