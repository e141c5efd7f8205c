#include "server/datasets/importing/length_counter.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

using ::testing::ElementsAre;

TEST(LengthCounterTest, BucketsHoldTheirUpperBounds) {
  LengthCounter counter;
  for (const int32_t length : {1, 8, 9, 16, 17, 4096, 4097, 1000000}) counter.Add(length);
  const v1::LengthHistogram h = counter.ToProto(v1::LengthHistogram::UNIT_TOKENS);
  EXPECT_EQ(h.unit(), v1::LengthHistogram::UNIT_TOKENS);
  EXPECT_THAT(h.upper_bounds(), ElementsAre(8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096));
  EXPECT_THAT(h.counts(), ElementsAre(2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 2));
  EXPECT_EQ(h.max(), 1000000);
}

TEST(LengthCounterTest, MedianAndPercentileAreExact) {
  LengthCounter counter;
  for (int32_t length = 1; length <= 100; ++length) counter.Add(length);
  v1::LengthHistogram h = counter.ToProto(v1::LengthHistogram::UNIT_WORDS);
  EXPECT_EQ(h.median(), 50);
  EXPECT_EQ(h.p95(), 95);
  counter.Add(101);
  EXPECT_EQ(counter.ToProto(v1::LengthHistogram::UNIT_WORDS).median(), 51);
  EXPECT_EQ(counter.ToProto(v1::LengthHistogram::UNIT_WORDS).p95(), 96);
}

TEST(LengthCounterTest, OneRowAndNone) {
  LengthCounter counter;
  v1::LengthHistogram h = counter.ToProto(v1::LengthHistogram::UNIT_WORDS);
  EXPECT_EQ(h.median() + h.p95() + h.max(), 0);
  EXPECT_EQ(h.counts_size(), h.upper_bounds_size() + 1);
  counter.Add(5);
  h = counter.ToProto(v1::LengthHistogram::UNIT_WORDS);
  EXPECT_EQ(h.median(), 5);
  EXPECT_EQ(h.p95(), 5);
}

}  // namespace
}  // namespace attune::datasets
