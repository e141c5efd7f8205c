#include "server/images/resize.h"

#include <gtest/gtest.h>

#include "server/base/counter_random.h"
#include "server/images/resize_passes.h"
#include "tests/server/images/goldens.h"

namespace attune::images {
namespace {

Image Noise(int width, int height, uint64_t stream) {
  CounterRandom random(/*seed=*/11, stream);
  Image image(width, height);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random.Below(256));
  return image;
}

TEST(Resize, WeightsOfAnOutputAddUpToOne) {
  for (ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
    for (int target : {1, 3, 50, 51, 200}) {
      const Taps taps = MakeTaps({.source = 50, .length = 50, .target = target, .count = target}, filter);
      ASSERT_EQ(taps.outputs(), target);
      ASSERT_EQ(taps.stride % 4, 0);
      for (int i = 0; i < target; ++i) {
        ASSERT_GE(taps.first[i], 0);
        ASSERT_LE(taps.first[i] + taps.length[i], 50);
        int64_t sum = 0;
        for (int k = 0; k < taps.stride; ++k) sum += taps.weights_of(i)[k];
        EXPECT_NEAR(static_cast<double>(sum), 1 << Taps::kPrecisionBits, taps.length[i]) << target << " " << i;
        for (int k = taps.length[i]; k < taps.stride; ++k) EXPECT_EQ(taps.weights_of(i)[k], 0);
      }
    }
  }
}

// Random pixels at every size around the widths of a vector, with rows that end where the memory does.
TEST(Resize, Avx2GivesTheSameBitsAsThePortableLoops) {
  if (Avx2Passes() == nullptr) GTEST_SKIP() << "this processor has no AVX2";
  uint64_t stream = 0;
  for (int width : {1, 2, 3, 5, 6, 11, 16, 47, 200}) {
    for (int target : {1, 2, 4, 5, 6, 7, 31, 64, 300}) {
      for (ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
        const Image image = Noise(width, 9, ++stream);
        const Taps across = MakeTaps({.source = width, .length = static_cast<double>(width), .target = target, .count = target}, filter);
        const Taps down = MakeTaps({.source = 9, .length = 9, .target = 4, .count = 4}, filter);
        std::vector<uint8_t> narrow[2], out[2];
        const ResizePasses* passes[2] = {&PortablePasses(), Avx2Passes()};
        for (int i = 0; i < 2; ++i) {
          narrow[i].resize(size_t{3} * target * 9);
          out[i].resize(size_t{3} * target * 4);
          passes[i]->horizontal(image.pixels.data(), image.row_bytes(), width, 9, across, narrow[i].data());
          passes[i]->vertical(narrow[i].data(), size_t{3} * target, down, out[i].data());
        }
        ASSERT_EQ(narrow[0], narrow[1]) << width << " to " << target;
        ASSERT_EQ(out[0], out[1]) << width << " to " << target;
      }
    }
  }
}

TEST(Resize, TheSameSizeIsTheSameImage) {
  const Image image = Noise(33, 21, 1);
  for (ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) ExpectSame(Resize(image, 33, 21, filter), image);
}

TEST(Resize, AWindowIsThatPartOfTheWhole) {
  const Image image = Noise(90, 70, 2);
  const Box windows[] = {{0, 0, 40, 30}, {13, 7, 20, 16}, {39, 29, 1, 1}, {0, 29, 40, 1}};
  for (ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
    const Image whole = Resize(image, 40, 30, filter);
    for (const Box& window : windows) ExpectSame(ResizeCrop(image, {0, 0, 90, 70}, 40, 30, window, filter), Crop(whole, window));
  }
}

TEST(Resize, NothingOutsideOfTheSourceIsLookedAt) {
  const Box source = {20, 10, 30, 25};
  Image image = Noise(90, 70, 3);
  const Image before = ResizeCrop(image, source, 12, 11, {0, 0, 12, 11}, ResizeFilter::kBicubic);
  ExpectSame(before, Resize(Crop(image, source), 12, 11, ResizeFilter::kBicubic));
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const bool inside = x >= 20 && x < 50 && y >= 10 && y < 35;
      if (!inside) image.row(y)[3 * x] ^= 0xFF;
    }
  }
  ExpectSame(ResizeCrop(image, source, 12, 11, {0, 0, 12, 11}, ResizeFilter::kBicubic), before);
}

// A ramp is what a shift shows in: half a pixel is half a step.
TEST(Resize, RegionsMoveByPartsOfPixels) {
  Image ramp(40, 4);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 40; ++x) std::fill_n(ramp.row(y) + 3 * x, 3, static_cast<uint8_t>(6 * x));
  }
  const Image whole = ResizeRegion(ramp, {10, 0, 20, 4}, 10, 2, {0, 0, 10, 2}, ResizeFilter::kBilinear);
  const Image moved = ResizeRegion(ramp, {10.5, 0, 20, 4}, 10, 2, {0, 0, 10, 2}, ResizeFilter::kBilinear);
  for (int x = 2; x < 8; ++x) EXPECT_NEAR(moved.row(0)[3 * x] - whole.row(0)[3 * x], 3, 1) << x;
}

}  // namespace
}  // namespace attune::images
