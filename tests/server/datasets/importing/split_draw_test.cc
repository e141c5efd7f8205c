#include "server/datasets/importing/split_draw.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

using examples::Split;

std::vector<DrawCandidate> Candidates(const std::vector<int>& stratum_sizes) {
  std::vector<DrawCandidate> candidates;
  // Strata alternate, as classes do in files.
  std::vector<int> left = stratum_sizes;
  for (bool any = true; any;) {
    any = false;
    for (uint32_t s = 0; s < left.size(); ++s) {
      if (left[s]-- <= 0) continue;
      candidates.push_back({.row = static_cast<uint32_t>(candidates.size()), .stratum = s});
      any = true;
    }
  }
  return candidates;
}

// By stratum: rows in train, validation, test.
std::vector<std::vector<int>> Count(const std::vector<DrawCandidate>& candidates, const std::vector<Split>& splits,
                                    size_t strata) {
  std::vector<std::vector<int>> counts(strata, std::vector<int>(3));
  for (size_t i = 0; i < candidates.size(); ++i) ++counts[candidates[i].stratum][static_cast<size_t>(splits[i])];
  return counts;
}

struct Case {
  const char* name;
  std::vector<int> sizes;
  double validation;
  double test;
  std::vector<std::vector<int>> expected;
};

class SharesTest : public testing::TestWithParam<Case> {};

TEST_P(SharesTest, AreStratified) {
  const auto candidates = Candidates(GetParam().sizes);
  const auto splits = DrawSplits(candidates, {.validation = GetParam().validation, .test = GetParam().test, .seed = 7});
  EXPECT_EQ(Count(candidates, splits, GetParam().sizes.size()), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Shares, SharesTest,
    testing::Values(
        Case{"nothing", {10, 10}, 0, 0, {{10, 0, 0}, {10, 0, 0}}},
        Case{"whole_numbers", {100, 50}, 0.1, 0.2, {{70, 10, 20}, {35, 5, 10}}},
        Case{"products_just_below_a_whole_number", {100}, 0.29, 0, {{71, 29, 0}}},
        // 0.5 + 1.5 + 2.2 rows: 4 are due, 3 are whole, and the larger remainder wins; the lower stratum among equals.
        Case{"largest_remainders", {5, 15, 22}, 0.1, 0, {{4, 1, 0}, {14, 1, 0}, {20, 2, 0}}},
        Case{"many_small_classes",
             {4, 4, 4, 4, 4, 4, 4, 4, 4, 4},
             0.1,
             0,
             {{3, 1, 0},
              {3, 1, 0},
              {3, 1, 0},
              {3, 1, 0},
              {4, 0, 0},
              {4, 0, 0},
              {4, 0, 0},
              {4, 0, 0},
              {4, 0, 0},
              {4, 0, 0}}},
        Case{"a_class_never_leaves_training", {1, 2, 100}, 0.45, 0.45, {{1, 0, 0}, {1, 0, 1}, {10, 45, 45}}},
        Case{"empty", {}, 0.1, 0.1, {}}, Case{"one_row", {1}, 0.9, 0, {{1, 0, 0}}}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(DrawTest, IsTheSameForTheSameSeedWhateverTheOrderOfCandidates) {
  auto candidates = Candidates({500, 300});
  const SplitShares shares{.validation = 0.2, .test = 0.1, .seed = 42};
  std::map<uint32_t, Split> first;
  auto splits = DrawSplits(candidates, shares);
  for (size_t i = 0; i < candidates.size(); ++i) first[candidates[i].row] = splits[i];
  std::shuffle(candidates.begin(), candidates.end(), std::mt19937(1));
  splits = DrawSplits(candidates, shares);
  for (size_t i = 0; i < candidates.size(); ++i) EXPECT_EQ(splits[i], first[candidates[i].row]);
}

TEST(DrawTest, DependsOnTheSeed) {
  const auto candidates = Candidates({500, 500});
  const auto a = DrawSplits(candidates, {.validation = 0.5, .seed = 0});
  const auto b = DrawSplits(candidates, {.validation = 0.5, .seed = 1});
  int same = 0;
  for (size_t i = 0; i < a.size(); ++i) same += static_cast<int>(a[i] == b[i]);
  EXPECT_NEAR(same, 500, 80);
}

// Rows are spread over the whole file, not taken from its start or at regular distances.
TEST(DrawTest, IsSpreadEvenly) {
  const auto candidates = Candidates({10000});
  const auto splits = DrawSplits(candidates, {.validation = 0.1, .seed = 3});
  std::vector<int> tenths(10);
  for (size_t i = 0; i < splits.size(); ++i) tenths[i / 1000] += static_cast<int>(splits[i] == Split::kValidation);
  for (const int count : tenths) EXPECT_NEAR(count, 100, 40);
}

// The algorithm is documented and is part of what makes a run repeatable: these values must never change.
TEST(DrawTest, KeysAreThoseOfTheDocumentation) {
  EXPECT_EQ(DrawKey(0, 0), 0xa706dd2f4d197e6fu);
  EXPECT_EQ(DrawKey(1, 0), 0x5e41ab087439611eu);
  EXPECT_EQ(DrawKey(18446744073709551615u, 4294967295u), 0xc65298c82e2d83dcu);
  const auto splits = DrawSplits(Candidates({20}), {.validation = 0.2, .test = 0.1, .seed = 0});
  std::vector<int> validation, test;
  for (int i = 0; i < 20; ++i) {
    if (splits[static_cast<size_t>(i)] == Split::kValidation) validation.push_back(i);
    if (splits[static_cast<size_t>(i)] == Split::kTest) test.push_back(i);
  }
  EXPECT_THAT(test, testing::ElementsAre(12, 19));
  EXPECT_THAT(validation, testing::ElementsAre(5, 7, 11, 15));
}

TEST(DrawTest, RepeatedTextsStayInTrainingWhileThereAreOthers) {
  auto candidates = Candidates({100});
  for (auto& candidate : candidates) candidate.repeated = candidate.row % 2 == 0;
  auto splits = DrawSplits(candidates, {.validation = 0.3, .test = 0.2});
  for (size_t i = 0; i < splits.size(); ++i) EXPECT_EQ(splits[i] == Split::kTrain, candidates[i].repeated);
  // More are due than there are: the share is kept all the same.
  splits = DrawSplits(candidates, {.validation = 0.6});
  EXPECT_EQ(std::count(splits.begin(), splits.end(), Split::kValidation), 60);
}

}  // namespace
}  // namespace attune::datasets
