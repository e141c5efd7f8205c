// Sizes and times in words.
#include "server/scheduler/policy/quantities.h"

#include "gtest/gtest.h"

namespace attune::scheduler {
namespace {

TEST(Quantities, AreAsPreciseAsEstimates) {
  EXPECT_EQ(BinaryBytes(870 << 20), "870 MiB");
  EXPECT_EQ(BinaryBytes(1 << 20), "1.0 MiB");
  EXPECT_EQ(BinaryBytes(int64_t{24} << 30), "24 GiB");
  EXPECT_EQ(AboutSeconds(4.26), "4.3 s");
  EXPECT_EQ(AboutSeconds(89), "89 s");
  EXPECT_EQ(AboutSeconds(300), "5.0 min");
  EXPECT_EQ(AboutSeconds(3600 * 3.5), "3.5 h");
}

}  // namespace
}  // namespace attune::scheduler
