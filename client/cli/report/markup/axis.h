// Numbers for charts: round ticks, fewer points, smoothed points. Pure; free of markup.
//
//   for (double tick : RoundTicks(0, 873, 5)) ...          // 0, 200, 400, 600, 800
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace attune::cli {

struct CurvePoint {
  double x = 0;
  double y = 0;
};
using Curve = std::vector<CurvePoint>;

// Multiples of 1, 2 or 5 times a power of ten within [least, most], at most `count` + 2 of them. One tick when the two
// are equal; none when one is not finite or least is over most.
std::vector<double> RoundTicks(double least, double most, int count);

// At most 2 * `buckets` points: of each stretch of neighbours the lowest and the highest, so that no peak is lost.
// Points that are not finite are left out; a curve that is short enough stays as it is but for those.
Curve Thin(const Curve& curve, size_t buckets);

// The mean over each point and up to `half_window` finite neighbours on either side. Points that are not finite are
// left out.
Curve Smooth(const Curve& curve, size_t half_window);

// [least, most] of what an axis should show: of all values, or without the few that lie so far out that the others
// would look like a line (over four times the spread of 98 % of them). {0, 0} without finite values.
std::pair<double, double> ReadableRange(std::vector<double> values);

int64_t CountNotFinite(const Curve& curve);

}  // namespace attune::cli
