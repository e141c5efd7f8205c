#include "server/training/input/class_rows.h"

#include <map>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/training/input/batch_rows.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;

// Rows of three classes, 90 %, 10 % and none; with `multi_label` some rows have none or two.
ClassRows Read(bool multi_label) {
  TemporaryDirectory root;
  auto writer = examples::ExampleWriter::Create(Files::Posix(), root.path() + "/data");
  EXPECT_TRUE(writer.ok());
  for (int i = 0; i < 100; ++i) {
    examples::Example example;
    example.text = "a";
    if (!multi_label || i % 5 != 0) example.labels.push_back(i % 10 == 3 ? 1 : 0);
    if (multi_label && i == 1) example.labels.push_back(1);
    EXPECT_TRUE((*writer)->Add(i == 99 ? examples::Split::kTest : examples::Split::kTrain, example).ok());
  }
  examples::DatasetManifest manifest;
  manifest.label_kind = multi_label ? examples::LabelKind::kMultiLabel : examples::LabelKind::kSingleLabel;
  manifest.labels = {"many", "few", "none"};
  manifest.filenames = {"a.csv"};
  EXPECT_TRUE((*writer)->Finish(manifest).ok());
  return ReadClassRows(**examples::ExampleReader::Open(root.path() + "/data"), examples::Split::kTrain);
}

TEST(ClassRows, OfOneSplit) {
  const ClassRows single = Read(false);
  EXPECT_EQ(single.rows, 99);
  EXPECT_THAT(single.counts(), ElementsAre(89, 10, 0));
  EXPECT_THAT(single.of_class[1], ElementsAre(3, 13, 23, 33, 43, 53, 63, 73, 83, 93));
  EXPECT_TRUE(single.without.empty());
  const ClassRows multi = Read(true);
  EXPECT_THAT(multi.counts(), ElementsAre(69, 11, 0));
  EXPECT_EQ(multi.without.size(), 20u);
}

// Checkpoints are resumed by other builds on other machines: these values may never change.
TEST(BalancedOrder, IsTheSameEverywhere) {
  ClassRows classes;
  classes.of_class = {{0, 1, 2, 3, 4, 5}, {6}, {}};
  classes.rows = 7;
  EXPECT_THAT(BalancedOrder(classes, 42, 0), ElementsAre(6, 6, 5, 6, 6, 1, 6));
  EXPECT_THAT(BalancedOrder(classes, 42, 1), ElementsAre(6, 6, 0, 2, 4, 0, 6));
  EXPECT_NE(BalancedOrder(classes, 43, 0), BalancedOrder(classes, 42, 0));
}

TEST(BalancedOrder, ClassesAreEquallyLikelyAndSoAreTheirRows) {
  const ClassRows classes = Read(true);  // three ways to be: many, few, without
  std::map<int64_t, int> drawn;
  constexpr int kEpochs = 400;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    const std::vector<int64_t> order = BalancedOrder(classes, 7, epoch);
    ASSERT_EQ(order.size(), 99u);
    for (const int64_t row : order) ++drawn[row];
  }
  const double draws = kEpochs * 99.0;
  const auto share = [&](const std::vector<int64_t>& rows) {
    double sum = 0;
    for (const int64_t row : rows) sum += drawn[row];
    return sum / draws;
  };
  // Row 1 has both classes and is drawn as one of either: 1 of 69 and 1 of 11 of a third.
  EXPECT_NEAR(share(classes.without), 1.0 / 3, 0.01);
  EXPECT_NEAR(share(classes.of_class[1]), 1.0 / 3 + 1.0 / 3 / 69, 0.01);
  EXPECT_NEAR(share(classes.of_class[0]), 1.0 / 3 + 1.0 / 3 / 11, 0.01);
  double chi_squared = 0;
  const double expected = draws / 3 / 20;
  for (const int64_t row : classes.without) chi_squared += (drawn[row] - expected) * (drawn[row] - expected) / expected;
  EXPECT_LT(chi_squared, 43.8);  // 19 degrees of freedom, p = 0.001
}

TEST(BatchRows, TakeAnOrderThatTheyAreGiven) {
  BatchRowsOptions options{.rows = 5, .batch_size = 3};
  options.order = [](int64_t epoch) { return std::vector<int64_t>(5, epoch); };
  const BatchRows rows(options);
  EXPECT_TRUE(rows.may_repeat());
  EXPECT_THAT(rows.Of(2, 1), ElementsAre(2, 2));
  EXPECT_THAT(rows.Of(3, 0), ElementsAre(3, 3, 3));
  options.order = [](int64_t) { return std::vector<int64_t>(4); };
  EXPECT_THROW(BatchRows(options).Of(0, 0), std::logic_error);
  options.shuffle = false;
  EXPECT_THAT(BatchRows(options).Of(0, 1), ElementsAre(3, 4)) << "in order is in order";
  EXPECT_FALSE(BatchRows(options).may_repeat());
}

}  // namespace
}  // namespace attune::training
