#include "server/training/tasks/calibration.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace attune::training {
namespace {

TEST(Calibration, ConfidencesAreTheHighestProbabilities) {
  const std::vector<float> logits = {0, 0, 1000, 0, -5, -5};  // two classes; no overflow
  const std::vector<double> confidences = Confidences(logits, 2);
  ASSERT_EQ(confidences.size(), 3u);
  EXPECT_DOUBLE_EQ(confidences[0], 0.5);
  EXPECT_DOUBLE_EQ(confidences[1], 1);
  EXPECT_DOUBLE_EQ(confidences[2], 1 / (1 + std::exp(0.0)));
}

TEST(Calibration, ADecisionOnAClassIsAsSureAsTheLikelierAnswer) {
  const std::vector<float> logits = {0, 2, -2};
  const std::vector<double> confidences = BinaryConfidences(logits);
  EXPECT_DOUBLE_EQ(confidences[0], 0.5);
  EXPECT_DOUBLE_EQ(confidences[1], 1 / (1 + std::exp(-2.0)));
  EXPECT_DOUBLE_EQ(confidences[2], confidences[1]);
}

// By hand: bins of width 0.5.
TEST(Calibration, BinsHaveTheirUpperBound) {
  const auto bins = Calibrate({0, 0.5, 0.51, 1}, {1, 0, 1, 0}, 2);
  ASSERT_EQ(bins.size(), 2u);
  EXPECT_EQ(bins[0].rows, 2);
  EXPECT_DOUBLE_EQ(bins[0].confidence, 0.25);
  EXPECT_DOUBLE_EQ(bins[0].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(bins[1].lower, 0.5);
  EXPECT_DOUBLE_EQ(bins[1].upper, 1);
  EXPECT_DOUBLE_EQ(bins[1].confidence, 0.755);
  EXPECT_DOUBLE_EQ(bins[1].accuracy, 0.5);
  EXPECT_DOUBLE_EQ(ExpectedCalibrationError(bins), (2 * 0.25 + 2 * 0.255) / 4);
}

TEST(Calibration, WithoutRowsThereIsNoError) {
  const auto bins = Calibrate({}, {});
  EXPECT_EQ(bins.size(), 15u);
  EXPECT_EQ(ExpectedCalibrationError(bins), 0);
}

TEST(Calibration, WhatIsNotANumberDoesNoHarm) {
  const auto bins = Calibrate({std::numeric_limits<double>::quiet_NaN(), 2, -1}, {1, 1, 1}, 3);
  EXPECT_EQ(bins[0].rows, 2);
  EXPECT_EQ(bins[2].rows, 1);
}

}  // namespace
}  // namespace attune::training
