#include "server/training/tasks/calibration.h"

#include <algorithm>
#include <cmath>

namespace attune::training {

std::vector<double> Confidences(std::span<const float> logits, int64_t classes) {
  std::vector<double> confidences;
  for (size_t begin = 0; begin < logits.size(); begin += static_cast<size_t>(classes)) {
    const std::span<const float> row = logits.subspan(begin, static_cast<size_t>(classes));
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float logit : row) sum += std::exp(logit - most);
    confidences.push_back(1 / sum);
  }
  return confidences;
}

std::vector<double> BinaryConfidences(std::span<const float> logits) {
  std::vector<double> confidences;
  for (const float logit : logits) confidences.push_back(1 / (1 + std::exp(-std::abs(static_cast<double>(logit)))));
  return confidences;
}

std::vector<CalibrationBin> Calibrate(const std::vector<double>& confidences, const std::vector<uint8_t>& right, int bins) {
  std::vector<CalibrationBin> out(static_cast<size_t>(bins));
  for (int i = 0; i < bins; ++i) {
    out[static_cast<size_t>(i)].lower = static_cast<double>(i) / bins;
    out[static_cast<size_t>(i)].upper = static_cast<double>(i + 1) / bins;
  }
  for (size_t i = 0; i < confidences.size(); ++i) {
    const double scaled = confidences[i] * bins;
    const int index = scaled > 0 ? static_cast<int>(std::ceil(std::min<double>(scaled, bins))) - 1 : 0;  // (lower, upper]; what is not a number goes first
    CalibrationBin& bin = out[static_cast<size_t>(index)];
    ++bin.rows;
    bin.confidence += confidences[i];
    bin.accuracy += right[i] ? 1 : 0;
  }
  for (CalibrationBin& bin : out) {
    if (bin.rows == 0) continue;
    bin.confidence /= static_cast<double>(bin.rows);
    bin.accuracy /= static_cast<double>(bin.rows);
  }
  return out;
}

double ExpectedCalibrationError(const std::vector<CalibrationBin>& bins) {
  double sum = 0;
  int64_t rows = 0;
  for (const CalibrationBin& bin : bins) {
    sum += static_cast<double>(bin.rows) * std::abs(bin.accuracy - bin.confidence);
    rows += bin.rows;
  }
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

}  // namespace attune::training
