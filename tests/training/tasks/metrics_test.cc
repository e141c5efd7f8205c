#include "server/training/tasks/metrics.h"

#include <cstdlib>
#include <fstream>
#include <span>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "server/training/tasks/agreement.h"
#include "server/training/tasks/calibration.h"

namespace attune::training {
namespace {

constexpr double kTolerance = 1e-12;

// What scikit-learn computes (tests/golden/make_metric_goldens.py).
nlohmann::json Goldens(const char* kind) {
  const char* root = std::getenv("ATTUNE_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/tests/golden/metrics.json");
  return nlohmann::json::parse(file).at(kind);
}

void ExpectClasses(const std::vector<ClassCounts>& counts, const nlohmann::json& golden) {
  ASSERT_EQ(counts.size(), golden["f1"].size());
  for (size_t i = 0; i < counts.size(); ++i) {
    EXPECT_NEAR(counts[i].precision(), golden["precision"][i].get<double>(), kTolerance) << i;
    EXPECT_NEAR(counts[i].recall(), golden["recall"][i].get<double>(), kTolerance) << i;
    EXPECT_NEAR(counts[i].f1(), golden["f1"][i].get<double>(), kTolerance) << i;
    EXPECT_EQ(counts[i].support(), golden["support"][i].get<int64_t>()) << i;
  }
}

TEST(Metrics, SingleLabelEqualsScikitLearn) {
  for (const nlohmann::json& golden : Goldens("single")) {
    const int64_t classes = golden["classes"];
    const auto confusion = ConfusionMatrix(golden["truth"], golden["predicted"], classes);
    EXPECT_EQ(confusion, golden["confusion"].get<std::vector<int64_t>>());
    EXPECT_NEAR(Accuracy(confusion, classes), golden["accuracy"].get<double>(), kTolerance);
    const auto counts = CountsOfConfusion(confusion, classes);
    EXPECT_NEAR(MacroF1(counts, /*only_seen=*/true), golden["f1_macro"].get<double>(), kTolerance);
    EXPECT_NEAR(MicroF1(counts), golden["f1_micro"].get<double>(), kTolerance);
    ExpectClasses(counts, golden);
  }
}

TEST(Metrics, MultiLabelEqualsScikitLearn) {
  for (const nlohmann::json& golden : Goldens("multi")) {
    const int64_t classes = golden["classes"];
    const std::vector<uint8_t> truth = golden["truth"], predicted = golden["predicted"];
    EXPECT_NEAR(SubsetAccuracy(truth, predicted, classes), golden["accuracy"].get<double>(), kTolerance);
    const auto counts = CountsOfMultiLabel(truth, predicted, classes);
    EXPECT_NEAR(MacroF1(counts, /*only_seen=*/false), golden["f1_macro"].get<double>(), kTolerance);
    EXPECT_NEAR(MicroF1(counts), golden["f1_micro"].get<double>(), kTolerance);
    ExpectClasses(counts, golden);
  }
}

TEST(Metrics, RegressionEqualsScipy) {
  for (const nlohmann::json& golden : Goldens("regression")) {
    EXPECT_NEAR(MeanSquaredError(golden["truth"], golden["predicted"]), golden["mse"].get<double>(), kTolerance);
    EXPECT_NEAR(MeanAbsoluteError(golden["truth"], golden["predicted"]), golden["mae"].get<double>(), kTolerance);
    EXPECT_NEAR(PearsonCorrelation(golden["truth"], golden["predicted"]).value(), golden["pearson"].get<double>(), kTolerance);
  }
}

TEST(Metrics, OfScoresEqualScikitLearn) {
  for (const nlohmann::json& golden : Goldens("scored")) {
    const int64_t classes = golden["classes"];
    const std::vector<int64_t> truth = golden["truth"];
    const std::vector<float> logits = golden["logits"];
    for (const auto& [k, expected] : golden["top"].items()) EXPECT_NEAR(TopKAccuracy(truth, logits, classes, std::stoi(k)), expected.get<double>(), kTolerance) << k;
    std::vector<uint8_t> right;
    double loss = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      const Agreement agreement = AgreeOnClass(std::span(logits).subspan(i * static_cast<size_t>(classes), static_cast<size_t>(classes)), static_cast<int32_t>(truth[i]));
      right.push_back(!agreement.contradicts);
      loss += agreement.loss / static_cast<double>(truth.size());
    }
    EXPECT_NEAR(loss, golden["loss"].get<double>(), kTolerance);
    const std::vector<CalibrationBin> bins = Calibrate(Confidences(logits, classes), right);
    ASSERT_EQ(bins.size(), golden["bins"].size());
    for (size_t i = 0; i < bins.size(); ++i) {
      EXPECT_EQ(bins[i].rows, golden["bins"][i]["rows"].get<int64_t>()) << i;
      EXPECT_NEAR(bins[i].confidence, golden["bins"][i]["confidence"].get<double>(), kTolerance) << i;
      EXPECT_NEAR(bins[i].accuracy, golden["bins"][i]["accuracy"].get<double>(), kTolerance) << i;
    }
    EXPECT_NEAR(ExpectedCalibrationError(bins), golden["ece"].get<double>(), kTolerance);
  }
}

// scikit-learn sorts upwards and reads from the back, so of equal scores the later class comes first.
TEST(Metrics, OfEqualScoresTheLaterClassComesFirst) {
  const std::vector<float> equal = {1, 1, 1};
  EXPECT_EQ(TopKAccuracy({2}, equal, 3, 1), 1);
  EXPECT_EQ(TopKAccuracy({0}, equal, 3, 2), 0);
  EXPECT_EQ(TopKAccuracy({}, {}, 3, 1), 0);
}

TEST(Metrics, CorrelationOfAConstantIsUndefined) {
  EXPECT_FALSE(PearsonCorrelation({1, 1, 1}, {1, 2, 3}).has_value());
  EXPECT_FALSE(PearsonCorrelation({1, 2, 3}, {5, 5, 5}).has_value());
  EXPECT_FALSE(PearsonCorrelation({1}, {2}).has_value());
}

}  // namespace
}  // namespace attune::training
