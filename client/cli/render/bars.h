// Graphics of characters: progress bars, histogram bars, sparklines. With Unicode in eighths of a character, otherwise
// in ASCII. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/cli/render/style.h"

namespace attune::cli {

// A bar of `width` columns, filled to `fraction` (clamped to 0 to 1): "███▌░░░░" or "###-----".
std::string ProgressBar(double fraction, int width, const Style& style);

// The filled part alone: at most `width` columns, at least a sliver for a fraction over 0.
std::string HistogramBar(double fraction, int width, const Style& style);

// One column for each value or, when there are more values than `width`, for each mean of neighbours. Scaled to the
// smallest and largest; values that are not finite are shown as '!'. Empty without values.
std::string Sparkline(const std::vector<double>& values, int width, const Style& style);

}  // namespace attune::cli
