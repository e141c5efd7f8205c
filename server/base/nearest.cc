#include "server/base/nearest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

// Optimal string alignment distance: insert, delete, replace, or swap neighbours.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

}  // namespace

std::string Nearest(std::string_view wrong, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 256;  // the distance is quadratic, and longer names are not typing errors
  if (wrong.empty() || wrong.size() > kLongest) return "";
  std::string lower = absl::AsciiStrToLower(AbslView(wrong));
  std::string best;
  size_t best_distance = std::string::npos;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    size_t distance = EditDistance(lower, absl::AsciiStrToLower(candidate));
    // At least one character must be kept, or every two-letter name would be near every other.
    if (distance >= std::max(lower.size(), candidate.size())) continue;
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best_distance <= std::max<size_t>(2, wrong.size() / 3) ? best : "";
}

}  // namespace attune
