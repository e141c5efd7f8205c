#include "client/cli/report/markup/axis.h"

#include <algorithm>
#include <cmath>

namespace attune::cli {
namespace {

Curve Finite(const Curve& curve) {
  Curve finite;
  for (const CurvePoint& point : curve) {
    if (std::isfinite(point.x) && std::isfinite(point.y)) finite.push_back(point);
  }
  return finite;
}

}  // namespace

std::vector<double> RoundTicks(double least, double most, int count) {
  if (!std::isfinite(least) || !std::isfinite(most) || least > most || count < 1) return {};
  if (least == most) return {least};
  const double rough = (most - least) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  // Subnormal or infinite steps have no multiples.
  if (!std::isnormal(step)) return {least, most};
  std::vector<double> ticks;
  const double first = std::ceil(least / step - 1e-9);
  for (int i = 0; i <= count + 1; ++i) {
    const double tick = (first + i) * step;
    if (tick > most + step * 1e-9) break;
    ticks.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  }
  return ticks;
}

Curve Thin(const Curve& curve, size_t buckets) {
  const Curve finite = Finite(curve);
  if (buckets == 0 || finite.size() <= 2 * buckets) return finite;
  Curve thin;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto begin = finite.begin() + static_cast<ptrdiff_t>(bucket * finite.size() / buckets);
    const auto end = finite.begin() + static_cast<ptrdiff_t>((bucket + 1) * finite.size() / buckets);
    const auto [low, high] =
        std::minmax_element(begin, end, [](const CurvePoint& a, const CurvePoint& b) { return a.y < b.y; });
    thin.push_back(*std::min(low, high));
    if (low != high) thin.push_back(*std::max(low, high));
  }
  return thin;
}

Curve Smooth(const Curve& curve, size_t half_window) {
  const Curve finite = Finite(curve);
  Curve smooth;
  for (size_t i = 0; i < finite.size(); ++i) {
    // The window is as wide on both sides, so that it does not shift the ends.
    const size_t half = std::min({half_window, i, finite.size() - 1 - i});
    // Added anew each time: running sums would carry the rounding of one huge loss to all that follow.
    double sum = 0;
    for (size_t j = i - half; j <= i + half; ++j) sum += finite[j].y;
    smooth.push_back({finite[i].x, sum / static_cast<double>(2 * half + 1)});
  }
  return smooth;
}

std::pair<double, double> ReadableRange(std::vector<double> values) {
  values.erase(std::remove_if(values.begin(), values.end(), [](double value) { return !std::isfinite(value); }),
               values.end());
  if (values.empty()) return {0, 0};
  std::sort(values.begin(), values.end());
  const size_t cut = values.size() / 100;
  const double low = values[cut];
  const double high = values[values.size() - 1 - cut];
  const double reach = 4 * (high - low);
  const bool is_long = values.size() >= 100 && high > low;
  return {is_long ? std::max(values.front(), low - reach) : values.front(),
          is_long ? std::min(values.back(), high + reach) : values.back()};
}

int64_t CountNotFinite(const Curve& curve) { return static_cast<int64_t>(curve.size() - Finite(curve).size()); }

}  // namespace attune::cli
