#include "server/training/tasks/agreement.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;

// Logits whose softmax is these probabilities.
std::vector<float> Logits(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Agreement, OnOneClass) {
  const Agreement wrong = AgreeOnClass(Logits({0.1, 0.7, 0.2}), 0);
  EXPECT_THAT(wrong.predicted, ElementsAre(1));
  EXPECT_NEAR(wrong.label_probability, 0.1, 1e-6);
  EXPECT_NEAR(wrong.predicted_probability, 0.7, 1e-6);
  EXPECT_NEAR(wrong.margin, 0.1 - 0.7, 1e-6);
  EXPECT_NEAR(wrong.loss, -std::log(0.1), 1e-6);
  EXPECT_TRUE(wrong.contradicts);
  const Agreement right = AgreeOnClass(Logits({0.1, 0.7, 0.2}), 1);
  EXPECT_NEAR(right.margin, 0.7 - 0.2, 1e-6) << "the most probable other class";
  EXPECT_FALSE(right.contradicts);
}

TEST(Agreement, OfExtremeLogitsIsFinite) {
  const Agreement agreement = AgreeOnClass(std::vector<float>{-1000, 1000}, 0);
  EXPECT_EQ(agreement.loss, 2000);
  EXPECT_EQ(agreement.label_probability, 0);
  EXPECT_EQ(agreement.margin, -1);
  EXPECT_EQ(AgreeOnClasses(std::vector<float>{-1000, 1000}, {0}).loss, 1000);
}

// Sigmoid probabilities 0.9, 0.2, 0.5+: the label says {1}.
TEST(Agreement, OnSeveralClassesIsThatOfTheWorst) {
  const std::vector<float> logits = {static_cast<float>(std::log(9)), static_cast<float>(-std::log(4)), 0.0f};
  const Agreement agreement = AgreeOnClasses(logits, {1});
  EXPECT_THAT(agreement.predicted, ElementsAre(0)) << "over one half";
  EXPECT_NEAR(agreement.label_probability, 0.1, 1e-6) << "that the first class is not there";
  EXPECT_NEAR(agreement.predicted_probability, 0.9, 1e-6);
  EXPECT_NEAR(agreement.margin, -0.8, 1e-6);
  EXPECT_NEAR(agreement.loss, -(std::log(0.1) + std::log(0.2) + std::log(0.5)) / 3, 1e-6);
  EXPECT_TRUE(agreement.contradicts);
  EXPECT_FALSE(AgreeOnClasses(logits, {0}).contradicts);
}

TEST(Agreement, OnAValueIsItsError) {
  const Agreement agreement = AgreeOnValue(2.5f, 1);
  EXPECT_EQ(agreement.predicted_value, 2.5);
  EXPECT_EQ(agreement.loss, 2.25);
  EXPECT_EQ(agreement.margin, -1.5);
  EXPECT_TRUE(agreement.predicted.empty());
}

std::vector<int64_t> RowsOf(const Ranking& ranking) {
  std::vector<int64_t> rows;
  for (const auto& [row, agreement] : ranking.Rows()) rows.push_back(row);
  return rows;
}

TEST(Ranking, KeepsTheSmallestAndOfEqualOnesTheFirst) {
  Ranking ranking(3);
  const double keys[] = {0.5, -1, 0.5, 2, -1, 0.5, -1};
  for (int64_t row = 0; row < 7; ++row) ranking.Add(keys[row], row, {});
  EXPECT_THAT(RowsOf(ranking), ElementsAre(1, 4, 6));
  ranking.Add(-2, 9, {});
  EXPECT_THAT(RowsOf(ranking), ElementsAre(9, 1, 4));
}

TEST(Ranking, OfNothing) {
  Ranking ranking(0);
  ranking.Add(-1, 0, {});
  EXPECT_TRUE(ranking.Rows().empty());
}

TEST(Ranking, WhatIsNotANumberIsWorst) {
  Ranking ranking(1);
  ranking.Add(-5, 0, {});
  ranking.Add(std::numeric_limits<double>::quiet_NaN(), 1, {});
  EXPECT_THAT(RowsOf(ranking), ElementsAre(1));
}

}  // namespace
}  // namespace attune::training
