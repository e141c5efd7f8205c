// Calibration: whether a model is right as often as it is sure (Guo et al. 2017, On Calibration of Modern Neural Networks). Pure and free of torch.
//
//   const std::vector<CalibrationBin> bins = Calibrate(Confidences(logits, classes), right);
//   const double ece = ExpectedCalibrationError(bins);
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attune::training {

inline constexpr int kCalibrationBins = 15;

struct CalibrationBin {
  double lower = 0, upper = 0;  // of confidences over lower and up to upper; the first also has 0
  int64_t rows = 0;
  double confidence = 0;        // mean; 0 without rows
  double accuracy = 0;          // share that is right; 0 without rows
};

// Softmax probability of the most probable class of each row of [rows, classes].
std::vector<double> Confidences(std::span<const float> logits, int64_t classes);

// Sigmoid probability of the likelier answer to each [rows, classes] question of a multi-label model: 0.5 to 1.
std::vector<double> BinaryConfidences(std::span<const float> logits);

// Bins of equal width; `right` says of each confidence whether its prediction is right.
std::vector<CalibrationBin> Calibrate(const std::vector<double>& confidences, const std::vector<uint8_t>& right, int bins = kCalibrationBins);

// Mean distance of confidence and accuracy over the bins, weighted by their rows; 0 without rows.
double ExpectedCalibrationError(const std::vector<CalibrationBin>& bins);

}  // namespace attune::training
