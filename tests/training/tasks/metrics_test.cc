#include "server/training/tasks/metrics.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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
    EXPECT_NEAR(PearsonCorrelation(golden["truth"], golden["predicted"]).value(), golden["pearson"].get<double>(), kTolerance);
  }
}

TEST(Metrics, CorrelationOfAConstantIsUndefined) {
  EXPECT_FALSE(PearsonCorrelation({1, 1, 1}, {1, 2, 3}).has_value());
  EXPECT_FALSE(PearsonCorrelation({1, 2, 3}, {5, 5, 5}).has_value());
  EXPECT_FALSE(PearsonCorrelation({1}, {2}).has_value());
}

}  // namespace
}  // namespace attune::training
