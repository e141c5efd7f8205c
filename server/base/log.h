// Structured logs: one JSON object a line on standard error. Thread-safe; a line is written with one write(2).
//
//   Log(LogLevel::kInfo, "job queued", {{"job", name}, {"jobs_ahead", 3}});
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"

namespace attune {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A field's value, already JSON.
struct LogValue {
  LogValue(std::string_view text);                                         // NOLINT(google-explicit-constructor)
  LogValue(const char* text) : LogValue(std::string_view(text)) {}         // NOLINT
  LogValue(const std::string& text) : LogValue(std::string_view(text)) {}  // NOLINT
  LogValue(int64_t value) : json(std::to_string(value)) {}                 // NOLINT
  LogValue(int value) : json(std::to_string(value)) {}                     // NOLINT
  LogValue(size_t value) : json(std::to_string(value)) {}                  // NOLINT
  LogValue(double value);                                                  // NOLINT
  LogValue(bool value) : json(value ? "true" : "false") {}                 // NOLINT
  std::string json;
};

// Names the calling thread's trace, too (trace_context.h).
void Log(LogLevel level, std::string_view message,
         std::initializer_list<std::pair<std::string_view, LogValue>> fields = {});

// The line that Log writes: time (UTC), level, message, then the fields, and a newline. Pure.
std::string FormatLogLine(absl::Time time, LogLevel level, std::string_view message,
                          std::initializer_list<std::pair<std::string_view, LogValue>> fields = {});

// Lines below this level are not written. Default kInfo.
void SetMinLogLevel(LogLevel level);

}  // namespace attune
