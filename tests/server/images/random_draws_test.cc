// What is drawn at random: by its distribution, and by the order of its numbers.
#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "server/images/augment/color_jitter.h"
#include "server/images/augment/color_operations.h"
#include "server/images/augment/rand_augment.h"
#include "server/images/augment/random_crop.h"
#include "server/images/mix.h"
#include "tests/server/images/goldens.h"

namespace attune::images {
namespace {

TEST(RandomCrop, AreasRatiosAndPlacesFillTheirRanges) {
  CounterRandom random(5, 0);
  double area_sum = 0, log_ratio_sum = 0, smallest = 1, largest = 0;
  std::set<int> lefts;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    const Box box = DrawRandomCrop(400, 300, 0.25, random);
    ASSERT_GE(box.x, 0);
    ASSERT_GE(box.y, 0);
    ASSERT_LE(box.x + box.width, 400);
    ASSERT_LE(box.y + box.height, 300);
    const double area = box.width * box.height / 120000.0, ratio = static_cast<double>(box.width) / box.height;
    ASSERT_GT(ratio, 0.74);
    ASSERT_LT(ratio, 1.35);
    smallest = std::min(smallest, area);
    largest = std::max(largest, area);
    area_sum += area;
    log_ratio_sum += std::log(ratio);
    lefts.insert(box.x);
  }
  EXPECT_NEAR(smallest, 0.25, 0.01);
  EXPECT_GT(largest, 0.97);
  EXPECT_GT(lefts.size(), 150u);
  EXPECT_GT(area_sum / kDraws, 0.5);  // uniform would be 0.625; large areas are refused more often, for they do not fit at every ratio
  EXPECT_LT(area_sum / kDraws, 0.625);
  EXPECT_GT(log_ratio_sum / kDraws, 0);  // a wide image takes wide crops more often
}

TEST(RandomCrop, WhereNothingFitsItIsTheCentre) {
  CounterRandom random(5, 1);
  const Box wide = DrawRandomCrop(1000, 10, 0.9, random);
  EXPECT_EQ(wide.width, 13);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.x, 493);
  EXPECT_EQ(wide.y, 0);
  const Box tall = DrawRandomCrop(10, 1000, 0.9, random);
  EXPECT_EQ(tall.width, 10);
  EXPECT_EQ(tall.height, 13);
  EXPECT_EQ(tall.x, 0);
  EXPECT_EQ(tall.y, 493);
}

TEST(ColorJitter, OrdersAreAllAndFactorsFillTheirRanges) {
  CounterRandom random(5, 2);
  std::set<std::array<ColorJitterDraw::Kind, 4>> orders;
  double lowest = 9, highest = 0, hue = 0, contrast = 9;
  for (int i = 0; i < 2000; ++i) {
    const ColorJitterDraw draw = DrawColorJitter({.brightness = 0.4, .contrast = 3, .hue = 0.1}, random);
    orders.insert(draw.order);
    lowest = std::min(lowest, draw.brightness);
    highest = std::max(highest, draw.brightness);
    contrast = std::min(contrast, draw.contrast);
    hue = std::max(hue, std::abs(draw.hue));
    EXPECT_EQ(draw.saturation, 1);  // off
  }
  EXPECT_EQ(orders.size(), 24u);
  EXPECT_NEAR(lowest, 0.6, 0.01);
  EXPECT_NEAR(highest, 1.4, 0.01);
  EXPECT_GE(contrast, 0);  // not 1 - 3
  EXPECT_NEAR(hue, 0.1, 0.001);
}

TEST(ColorJitter, AppliesInTheOrderDrawn) {
  const Image source = GoldenImage("references/picture.ppm");
  ColorJitterDraw draw;
  draw.brightness = 1.7;
  draw.contrast = 0.4;
  Image bright_first = source, expected = source;
  ApplyColorJitter(draw, bright_first);
  AdjustBrightness(expected, 1.7);
  AdjustContrast(expected, 0.4);
  ExpectSame(bright_first, expected);
  draw.order = {ColorJitterDraw::kContrast, ColorJitterDraw::kHue, ColorJitterDraw::kSaturation, ColorJitterDraw::kBrightness};
  Image contrast_first = source;
  ApplyColorJitter(draw, contrast_first);
  EXPECT_NE(contrast_first.pixels, bright_first.pixels);
}

TEST(RandAugment, DrawsOperationsAndSigns) {
  const Image source = GoldenImage("references/picture.ppm");
  std::set<std::vector<uint8_t>> outcomes, expected;
  for (int i = 0; i < kRandAugmentOperations; ++i) {
    const auto operation = static_cast<RandAugmentOperation>(i);
    const double magnitude = RandAugmentMagnitude(operation, 20, source.width, source.height);
    for (double sign : {1.0, -1.0}) {
      Image image = source;
      if (sign < 0 && !IsSigned(operation)) continue;
      ApplyRandAugment(operation, sign * magnitude, image);
      expected.insert(image.pixels);
    }
  }
  CounterRandom random(5, 3);
  for (int i = 0; i < 1000; ++i) {
    Image image = source;
    RandAugment(/*operations=*/1, /*magnitude=*/20, image, random);
    outcomes.insert(image.pixels);
  }
  EXPECT_EQ(outcomes, expected);
  EXPECT_GE(expected.size(), 20u);
}

TEST(RandAugment, NoneLeavesTheImageAndDrawsNothing) {
  const Image source = GoldenImage("references/picture.ppm");
  Image image = source;
  CounterRandom random(5, 4), untouched(5, 4);
  RandAugment(/*operations=*/0, /*magnitude=*/9, image, random);
  ExpectSame(image, source);
  EXPECT_EQ(random.Next(), untouched.Next());
}

// Of Beta(a, a) the mean is 1/2 and the variance 1 / (8 a + 4).
TEST(Mix, BetaHasItsMeanAndVariance) {
  for (double alpha : {0.05, 0.2, 0.4, 1.0, 3.0}) {
    CounterRandom random(5, 5);
    double sum = 0, squares = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
      const double x = DrawBeta(alpha, random);
      ASSERT_TRUE(x >= 0 && x <= 1) << x;
      sum += x;
      squares += (x - 0.5) * (x - 0.5);
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.015) << alpha;
    EXPECT_NEAR(squares / kDraws, 1 / (8 * alpha + 4), 0.006) << alpha;
  }
}

TEST(Mix, OffIsNoneAndDrawsNothing) {
  CounterRandom random(5, 6), untouched(5, 6);
  const MixDraw draw = DrawMix(0, 0, 224, random);
  EXPECT_EQ(draw.kind, MixDraw::kNone);
  EXPECT_EQ(draw.weight, 1);
  EXPECT_EQ(random.Next(), untouched.Next());
}

TEST(Mix, WithBothOnEachIsAsLikely) {
  CounterRandom random(5, 7);
  int mixups = 0;
  for (int i = 0; i < 2000; ++i) {
    const MixDraw draw = DrawMix(0.2, 1, 64, random);
    ASSERT_NE(draw.kind, MixDraw::kNone);
    mixups += draw.kind == MixDraw::kMixup;
  }
  EXPECT_NEAR(mixups, 1000, 100);
  EXPECT_EQ(DrawMix(0.2, 0, 64, random).kind, MixDraw::kMixup);
  EXPECT_EQ(DrawMix(0, 0.2, 64, random).kind, MixDraw::kCutMix);
}

TEST(Mix, CutMixBoxesStayInsideAndWeighWhatTheyLeave) {
  CounterRandom random(5, 8);
  int cut_at_the_border = 0;
  double weights = 0;
  for (int i = 0; i < 3000; ++i) {
    const MixDraw draw = DrawMix(0, 1, 33, random);
    ASSERT_GE(draw.box.x, 0);
    ASSERT_GE(draw.box.y, 0);
    ASSERT_GE(draw.box.width, 0);
    ASSERT_GE(draw.box.height, 0);
    ASSERT_LE(draw.box.x + draw.box.width, 33);
    ASSERT_LE(draw.box.y + draw.box.height, 33);
    ASSERT_DOUBLE_EQ(draw.weight, 1 - draw.box.width * draw.box.height / (33.0 * 33.0));
    cut_at_the_border += draw.box.width != draw.box.height;
    weights += draw.weight;
  }
  EXPECT_GT(cut_at_the_border, 1000);
  EXPECT_GT(weights / 3000, 0.55);  // 1/2 were it not for the border
}

}  // namespace
}  // namespace attune::images
