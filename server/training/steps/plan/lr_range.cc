#include "server/training/steps/plan/lr_range.h"

#include <algorithm>
#include <cmath>

namespace attune::training {
namespace {

constexpr double kBlownUp = 4;  // times the least smoothed loss
constexpr int64_t kLeastWindow = 2;

}  // namespace

LrRange::LrRange(const LrRangeOptions& options)
    : options_(options), window_(std::max(kLeastWindow, options.steps / 10)), mean_(static_cast<int>(window_)) {}

double LrRange::RateAt(int64_t step) const {
  return options_.least * std::pow(options_.most / options_.least, static_cast<double>(step) / static_cast<double>(options_.steps - 1));
}

bool LrRange::Add(double loss) {
  mean_.Add(loss);
  curve_.push_back(mean_.value());
  least_ = curve_.size() == 1 ? mean_.value() : std::min(least_, mean_.value());
  return mean_.value() <= kBlownUp * least_;
}

LrSuggestion LrRange::Suggest() const {
  // The first values are means of few steps: their slopes say more about the batches than about the rate.
  const int64_t begin = std::min(window_, static_cast<int64_t>(curve_.size()) / 4);
  if (begin >= static_cast<int64_t>(curve_.size())) return {};
  const int64_t lowest = std::min_element(curve_.begin() + begin, curve_.end()) - curve_.begin();
  if (curve_[static_cast<size_t>(lowest)] >= curve_[static_cast<size_t>(begin)]) return {};
  const int64_t half = std::max<int64_t>(1, window_ / 2);
  int64_t steepest = lowest;
  double slope = 0;
  for (int64_t i = begin; i <= lowest; ++i) {
    const int64_t from = std::max(begin, i - half), to = std::min(lowest, i + half);
    if (from == to) continue;
    const double here = (curve_[static_cast<size_t>(to)] - curve_[static_cast<size_t>(from)]) / static_cast<double>(to - from);
    if (here >= slope) continue;
    slope = here;
    steepest = i;
  }
  return {RateAt(steepest), RateAt(lowest) / 10};
}

}  // namespace attune::training
