#include "server/base/nearest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

// Optimal string alignment distance: insert, delete, replace, or swap neighbours. Something over `most` where it is over that.
size_t EditDistance(std::string_view a, std::string_view b, size_t most) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > most) return most + 1;
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  size_t least_before = 0;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t least = current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
      least = std::min(least, current[j]);
    }
    if (least > most && least_before > most) return most + 1;  // each row comes from the two above it
    least_before = least;
    std::swap(before, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

}  // namespace

std::string Nearest(std::string_view wrong, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 256;  // the distance is quadratic, and longer names are not typing errors
  if (wrong.empty() || wrong.size() > kLongest) return "";
  const std::string lower = absl::AsciiStrToLower(AbslView(wrong));
  std::string best;
  size_t most = std::max<size_t>(2, wrong.size() / 3);  // further away it is no typing error; later, further than the best
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const size_t distance = EditDistance(lower, absl::AsciiStrToLower(candidate), most);
    // At least one character must be kept, or every two-letter name would be near every other.
    if (distance > most || distance >= std::max(lower.size(), candidate.size())) continue;
    best = candidate;
    if (distance == 0) break;
    most = distance - 1;
  }
  return best;
}

}  // namespace attune
