// Numbers, sizes, times and texts as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace attune::cli {

std::string Count(int64_t value);          // "1,234,567"
std::string Bytes(int64_t bytes);          // "512 B", "22.7 MB", "1.40 GB"
std::string Number(double value);          // four significant digits: "0.5123", "5e-05", "423.1"
std::string Percent(double fraction);      // "41.8 %"
std::string Duration(double seconds);      // "0.42 s", "12 s", "1 min 52 s", "2 h 05 min", "3 d 4 h"
std::string Remaining(double seconds);     // "0:31", "12:05", "2:05:10"
std::string TimeOfDay(absl::Time time);    // "12:03:04", local
std::string DateAndTime(absl::Time time);  // "2026-11-24 12:03:04", local
std::string Ago(absl::Time time,
                absl::Time now);  // "now", "5 min ago", "3 h ago", "2 d ago", and the date when over 30 days

absl::Time ToTime(const google::protobuf::Timestamp& timestamp);

// Columns that `text` takes on a terminal: ANSI codes take none, East Asian wide characters and emoji two, combining
// marks none.
int DisplayWidth(std::string_view text);

// `text` cut to `width` columns, with "…" (or "..." without Unicode) where something was cut. Not for texts with ANSI
// codes.
std::string Fit(std::string_view text, int width, bool unicode = true);

// Text from data, safe to show in one line: line ends, tabs and other control characters become spaces, invalid UTF-8
// becomes '?'. A data row must not steer the terminal.
std::string OneLine(std::string_view text);

std::string Spaces(int count);

}  // namespace attune::cli
