#include "server/datasets/importing/label_table.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Ordered(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const uint32_t i : ClassOrder(names)) out.push_back(names[i]);
  return out;
}

TEST(ClassOrderTest, IntegersByNumberOthersByBytes) {
  EXPECT_THAT(Ordered({"10", "9", "-1", "2", "-10", "0"}), ElementsAre("-10", "-1", "0", "2", "9", "10"));
  EXPECT_THAT(Ordered({"10", "9", "x"}), ElementsAre("10", "9", "x"));
  EXPECT_THAT(Ordered({"1", "01", "-0", "0"}), ElementsAre("-0", "0", "01", "1"));
  EXPECT_THAT(Ordered({"99999999999999999999999", "100000000000000000000000"}),
              ElementsAre("99999999999999999999999", "100000000000000000000000"));
  EXPECT_THAT(Ordered({"b", "B", "\xc3\xa9", "a"}), ElementsAre("B", "a", "b", "\xc3\xa9"));
  EXPECT_THAT(Ordered({"1.5", "-", "10"}), ElementsAre("-", "1.5", "10"));
  EXPECT_THAT(Ordered({}), ElementsAre());
}

TEST(LabelTableTest, CombinationsHaveIds) {
  LabelTable table;
  const auto add = [&](const std::vector<std::string_view>& names) { return *table.Add(names); };
  const uint32_t x = add({"x"});
  const uint32_t y = add({"y"});
  EXPECT_NE(x, y);
  EXPECT_EQ(add({"x"}), x);
  const uint32_t both = add({"y", "x"});
  EXPECT_EQ(add({"x", "y"}), both);
  const uint32_t none = add({});
  EXPECT_EQ(add({}), none);
  EXPECT_THAT(table.names(), ElementsAre("x", "y"));
  EXPECT_THAT(table.combinations()[both], ElementsAre(0, 1));
  EXPECT_THAT(table.combinations()[none], ElementsAre());
  EXPECT_THAT(table.combinations()[y], ElementsAre(1));
}

TEST(LabelTableTest, SingleLabelThatIsFirstMetInACombination) {
  LabelTable table;
  const uint32_t both = *table.Add({"x", "y"});
  const uint32_t y = *table.Add({"y"});
  EXPECT_NE(both, y);
  EXPECT_EQ(*table.Add({"y"}), y);
}

TEST(LabelTableTest, ColumnsThatHoldNoClassesAreFoundOut) {
  LabelTable table;
  for (size_t i = 0; i < LabelTable::kMaxLabels; ++i) ASSERT_TRUE(table.Add({std::to_string(i)}).ok());
  EXPECT_TRUE(table.Add({"7"}).ok());
  const auto many = table.Add({"another"}).status();
  EXPECT_EQ(many.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(many.message()), HasSubstr("set label_column"));
  const auto long_name = LabelTable().Add({std::string(1001, 'x')}).status();
  EXPECT_EQ(long_name.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(long_name.message()), HasSubstr("set label_column"));
}

}  // namespace
}  // namespace attune::datasets
