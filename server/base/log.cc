#include "server/base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"

namespace attune {
namespace {

std::atomic<LogLevel> min_level{LogLevel::kInfo};

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// Bytes that are not UTF-8 become U+FFFD, so that a line is always valid JSON.
std::string JsonString(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

LogValue::LogValue(std::string_view text) : json(JsonString(text)) {}
LogValue::LogValue(double value) : json(nlohmann::json(value).dump()) {}  // NaN and infinities are null

std::string FormatLogLine(absl::Time time, LogLevel level, std::string_view message,
                          std::initializer_list<std::pair<std::string_view, LogValue>> fields) {
  std::string line = StrCat("{\"time\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone()),
                            "\",\"level\":\"", LevelName(level), "\",\"message\":", JsonString(message));
  for (const auto& [name, value] : fields) StrAppend(&line, ",", JsonString(name), ":", value.json);
  line += "}\n";
  return line;
}

void Log(LogLevel level, std::string_view message,
         std::initializer_list<std::pair<std::string_view, LogValue>> fields) {
  if (level < min_level.load(std::memory_order_relaxed)) return;
  std::string line = FormatLogLine(absl::Now(), level, message, fields);
  if (!CurrentTraceId().empty()) line.insert(line.size() - 2, StrCat(",\"trace_id\":", JsonString(CurrentTraceId())));  // before "}\n"
  std::string_view rest = line;
  while (!rest.empty()) {
    ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nowhere to complain
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

void SetMinLogLevel(LogLevel level) { min_level.store(level, std::memory_order_relaxed); }

}  // namespace attune
