#include "server/datasets/importing/length_counter.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace attune::datasets {
namespace {

constexpr int32_t kFirstBound = 8;
constexpr int32_t kLastBound = 4096;

}  // namespace

v1::LengthHistogram LengthCounter::ToProto(v1::LengthHistogram::Unit unit) const {
  v1::LengthHistogram histogram;
  histogram.set_unit(unit);
  for (int32_t bound = kFirstBound; bound <= kLastBound; bound *= 2) histogram.add_upper_bounds(bound);
  histogram.mutable_counts()->Resize(histogram.upper_bounds_size() + 1, 0);

  std::vector<std::pair<int32_t, int64_t>> sorted(counts_.begin(), counts_.end());
  std::sort(sorted.begin(), sorted.end());
  int64_t total = 0;
  for (const auto& [length, count] : sorted) total += count;
  int64_t below = 0;
  for (const auto& [length, count] : sorted) {
    const auto& bounds = histogram.upper_bounds();
    const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), length) - bounds.begin();
    histogram.set_counts(static_cast<int>(bucket), histogram.counts(static_cast<int>(bucket)) + count);
    const int64_t up_to_here = below + count;
    if (2 * below < total && 2 * up_to_here >= total) histogram.set_median(length);
    if (20 * below < 19 * total && 20 * up_to_here >= 19 * total) histogram.set_p95(length);
    below = up_to_here;
    histogram.set_max(length);
  }
  return histogram;
}

}  // namespace attune::datasets
