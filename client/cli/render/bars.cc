#include "client/cli/render/bars.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

const char* const kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
const char* const kSparks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
const char kAsciiSparks[] = "_.-~=+*#";

std::string Repeat(const std::string& piece, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += piece;
  return text;
}

double Clamp(double fraction) { return std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0; }

// The filled part, and the columns that it takes.
std::string Filled(double fraction, int width, const Style& style, int* columns) {
  if (!style.unicode) {
    *columns = static_cast<int>(fraction * width);
    return Repeat("#", *columns);
  }
  const int eighths = static_cast<int>(fraction * width * 8);
  *columns = (eighths + 7) / 8;
  return Repeat("█", eighths / 8) + kEighths[eighths % 8];
}

// Means of neighbours, so that at most `width` values are left.
std::vector<double> Condense(const std::vector<double>& values, int width) {
  if (values.size() <= static_cast<size_t>(width)) return values;
  std::vector<double> means;
  for (int i = 0; i < width; ++i) {
    const size_t begin = values.size() * static_cast<size_t>(i) / static_cast<size_t>(width);
    const size_t end = values.size() * static_cast<size_t>(i + 1) / static_cast<size_t>(width);
    double sum = 0;
    for (size_t j = begin; j < end; ++j) sum += values[j];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

}  // namespace

std::string ProgressBar(double fraction, int width, const Style& style) {
  int columns = 0;
  std::string bar = Filled(Clamp(fraction), std::max(0, width), style, &columns);
  return bar + Repeat(style.unicode ? "░" : "-", width - columns);
}

std::string HistogramBar(double fraction, int width, const Style& style) {
  int columns = 0;
  std::string bar = Filled(Clamp(fraction), std::max(0, width), style, &columns);
  if (bar.empty() && fraction > 0) return style.unicode ? kEighths[1] : "#";
  return bar;
}

std::string Sparkline(const std::vector<double>& values, int width, const Style& style) {
  if (values.empty() || width <= 0) return "";
  const std::vector<double> points = Condense(values, width);
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (double value : points) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  std::string line;
  for (double value : points) {
    if (!std::isfinite(value)) {
      line += '!';
      continue;
    }
    // Equal values lie in the middle.
    const int level = high > low ? static_cast<int>((value - low) / (high - low) * 7 + 0.5) : 3;
    if (style.unicode) {
      line += kSparks[level];
    } else {
      line += kAsciiSparks[level];
    }
  }
  return line;
}

}  // namespace attune::cli
