#include "server/datasets/importing/resolve_rows.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

using examples::LabelKind;
using examples::Split;
using ::testing::ElementsAre;

class Table {
 public:
  explicit Table(LabelKind kind = LabelKind::kSingleLabel) { table.kind = kind; }
  Table& Add(const std::string& text, const std::vector<std::string_view>& labels,
             std::optional<Split> split = std::nullopt) {
    RowEntry row;
    row.digest = DigestText(text, false, "");
    row.row = static_cast<uint32_t>(table.rows.size());
    if (table.kind != LabelKind::kRegression) row.labels = *table.labels.Add(labels);
    row.split = split;
    table.rows.push_back(row);
    return *this;
  }
  std::vector<Split> splits() const {
    std::vector<Split> out;
    for (const RowEntry& row : table.rows) out.push_back(*row.split);
    return out;
  }
  RowTable table;
};

TEST(ResolveRowsTest, GivenSplitsStayAndTheRestIsTraining) {
  Table t;
  t.Add("a", {"x"}).Add("b", {"y"}).Add("c", {"x"}, Split::kValidation).Add("d", {"y"}, Split::kTest);
  const Resolution r =
      ResolveRows({.validation = 0.9, .test = 0.9}, t.table);  // no share is drawn of a split that is given
  EXPECT_THAT(t.splits(), ElementsAre(Split::kTrain, Split::kTrain, Split::kValidation, Split::kTest));
  EXPECT_THAT(r.rows, ElementsAre(2, 1, 1));
  EXPECT_THAT(r.classes, ElementsAre("x", "y"));
  EXPECT_THAT(r.class_counts[0], ElementsAre(1, 1));
  EXPECT_THAT(r.class_counts[1], ElementsAre(1, 0));
}

TEST(ResolveRowsTest, DrawsWhatIsNotGivenFromTraining) {
  Table t;
  for (int i = 0; i < 100; ++i) t.Add(std::to_string(i), {i % 2 == 0 ? "x" : "y"}, Split::kTrain);
  for (int i = 0; i < 10; ++i) t.Add("t" + std::to_string(i), {"x"}, Split::kTest);
  const Resolution r = ResolveRows({.validation = 0.1, .test = 0.5}, t.table);
  EXPECT_THAT(r.rows, ElementsAre(90, 10, 10));
  EXPECT_THAT(r.class_counts[1], ElementsAre(5, 5));
}

TEST(ResolveRowsTest, UNSEEN_LABEL) {
  Table t;
  t.Add("a", {"x"})
      .Add("b", {"y"})
      .Add("c", {"z"}, Split::kTest)
      .Add("d", {"x"}, Split::kTest)
      .Add("e", {"w"}, Split::kValidation);
  const Resolution r = ResolveRows({}, t.table);
  EXPECT_EQ(r.unseen, 2);
  EXPECT_TRUE(t.table.rows[2].left_out);
  EXPECT_FALSE(t.table.rows[3].left_out);
  EXPECT_TRUE(t.table.rows[4].left_out);
  EXPECT_THAT(r.rows, ElementsAre(2, 0, 1));
  EXPECT_THAT(r.classes, ElementsAre("x", "y"));  // classes are those of training
}

TEST(ResolveRowsTest, UnseenInOneOfSeveralLabels) {
  Table t(LabelKind::kMultiLabel);
  t.Add("a", {"x"}).Add("b", {}).Add("c", {"x", "z"}, Split::kTest).Add("d", {}, Split::kTest);
  const Resolution r = ResolveRows({}, t.table);
  EXPECT_EQ(r.unseen, 1);
  EXPECT_TRUE(t.table.rows[2].left_out);
  EXPECT_THAT(r.rows, ElementsAre(2, 0, 1));
}

TEST(ResolveRowsTest, ClassIndicesFollowTheOrderOfClasses) {
  Table t(LabelKind::kMultiLabel);
  t.Add("a", {"10", "9"}).Add("b", {"2"}).Add("c", {});
  const Resolution r = ResolveRows({}, t.table);
  EXPECT_THAT(r.classes, ElementsAre("2", "9", "10"));
  EXPECT_THAT(r.class_indices[t.table.rows[0].labels], ElementsAre(1, 2));
  EXPECT_THAT(r.class_indices[t.table.rows[1].labels], ElementsAre(0));
  EXPECT_THAT(r.class_indices[t.table.rows[2].labels], ElementsAre());
}

// Whatever is drawn, training keeps each label: a draw never makes a row unusable.
TEST(ResolveRowsTest, DrawnMultiLabelRowsNeverHaveUnseenLabels) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Table t(LabelKind::kMultiLabel);
    for (int i = 0; i < 30; ++i) {
      const std::string a = "a" + std::to_string(i % 7), b = "b" + std::to_string(i % 11);
      t.Add(std::to_string(i), {a, b});
    }
    const Resolution r = ResolveRows({.validation = 0.45, .test = 0.45, .seed = seed}, t.table);
    EXPECT_EQ(r.unseen, 0) << seed;
    EXPECT_EQ(r.classes.size(), 18u) << seed;
    EXPECT_GT(r.rows[1] + r.rows[2], 5) << seed;
  }
}

TEST(ResolveRowsTest, RegressionHasOneStratumAndNoClasses) {
  Table t(LabelKind::kRegression);
  for (int i = 0; i < 50; ++i) t.Add(std::to_string(i), {});
  const Resolution r = ResolveRows({.validation = 0.2}, t.table);
  EXPECT_THAT(r.rows, ElementsAre(40, 10, 0));
  EXPECT_TRUE(r.classes.empty());
  EXPECT_EQ(r.unseen, 0);
}

TEST(ResolveRowsTest, CountsDuplicates) {
  Table t;
  t.Add("a", {"x"})
      .Add("a", {"y"})
      .Add("a", {"x"})                      // two repeat the first
      .Add("a", {"x"}, Split::kValidation)  // across
      .Add("b", {"x"}, Split::kValidation)
      .Add("b", {"x"}, Split::kTest)  // across
      .Add("b", {"x"}, Split::kTest)  // across, and within
      .Add("c", {"y"})
      .Add("c", {"unseen"}, Split::kTest)  // left out, so not counted
      .Add("d", {"y"}, Split::kTest);
  const Resolution r = ResolveRows({}, t.table);
  EXPECT_EQ(r.duplicates_within_split, 3);
  EXPECT_EQ(r.duplicates_across_splits, 3);
  std::vector<uint32_t> repeats;
  for (const Resolution::Repeat& repeat : r.across_splits) {
    repeats.push_back(repeat.row);
    EXPECT_EQ(t.table.rows[repeat.first].digest, t.table.rows[repeat.row].digest);
    EXPECT_LT(*t.table.rows[repeat.first].split, *t.table.rows[repeat.row].split);
  }
  EXPECT_THAT(repeats, ElementsAre(3, 5, 6));
}

TEST(ResolveRowsTest, DrawnSplitsShareNoTextWhileThereAreOthers) {
  Table t;
  for (int i = 0; i < 200; ++i)
    t.Add(i % 3 == 0 ? "repeated " + std::to_string(i % 5) : std::to_string(i), {i % 2 == 0 ? "x" : "y"});
  const Resolution r = ResolveRows({.validation = 0.2, .test = 0.2}, t.table);
  EXPECT_THAT(r.rows, ElementsAre(120, 40, 40));
  EXPECT_EQ(r.duplicates_across_splits, 0);
  EXPECT_EQ(r.duplicates_within_split, 67 - 5);
}

TEST(ResolveRowsTest, NoRows) {
  RowTable table;
  const Resolution r = ResolveRows({.validation = 0.1}, table);
  EXPECT_THAT(r.rows, ElementsAre(0, 0, 0));
}

TEST(TextDigestTest, TellsTextsApart) {
  std::vector<TextDigest> digests;
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += static_cast<char>(i % 7);
    digests.push_back(DigestText(text, false, ""));
    digests.push_back(DigestText(text, true, ""));
    digests.push_back(DigestText("", true, text));
  }
  for (int i = 0; i < 20000; ++i) digests.push_back(DigestText("text number " + std::to_string(i), false, ""));
  std::sort(digests.begin(), digests.end());
  EXPECT_EQ(std::adjacent_find(digests.begin(), digests.end()), digests.end());
  EXPECT_EQ(DigestText("same", true, "pair"), DigestText("same", true, "pair"));
}

}  // namespace
}  // namespace attune::datasets
