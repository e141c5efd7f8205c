#include "server/images/view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "server/base/str_cat.h"
#include "tests/server/images/goldens.h"

namespace attune::images {
namespace {

using ::testing::HasSubstr;

constexpr ViewSpec kSmall = {.image_size = 24, .resize_size = 30};

std::vector<float> View(const std::string& bytes, const ViewSpec& view, const Augmentation* augmentation = nullptr, CounterRandom* random = nullptr) {
  std::vector<float> out(size_t{3} * view.image_size * view.image_size, -99);
  const absl::Status status = MakeView(bytes, view, augmentation, random, out.data());
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

std::vector<float> RandomView(const std::string& bytes, const ViewSpec& view, const Augmentation& augmentation, uint64_t stream) {
  CounterRandom random(/*seed=*/3, stream);
  return View(bytes, view, &augmentation, &random);
}

double MeanDifference(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// One colour: every resize gives it back, so the numbers can be said by hand.
TEST(View, ScalesAndNormalisesByChannel) {
  std::string bytes = "P6 40 30 255\n";
  for (int i = 0; i < 40 * 30; ++i) bytes += std::string("\x00\xFF\x33", 3);
  const std::vector<float> out = View(bytes, kSmall);
  for (size_t i = 0; i < 24 * 24; ++i) {
    ASSERT_FLOAT_EQ(out[i], -0.485f / 0.229f);
    ASSERT_FLOAT_EQ(out[24 * 24 + i], (1 - 0.456f) / 0.224f);
    ASSERT_FLOAT_EQ(out[2 * 24 * 24 + i], (0.2f - 0.406f) / 0.225f);
  }
}

TEST(View, AugmentationWithEverythingOffIsThePlainView) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  EXPECT_EQ(RandomView(bytes, kSmall, {}, 0), View(bytes, kSmall));
}

TEST(View, ADrawIsAFunctionOfItsStream) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  const Augmentation all = {.crop_scale_min = 0.3, .horizontal_flip = 0.5, .brightness = 0.2, .contrast = 0.2, .saturation = 0.2, .hue = 0.1, .rand_augment_operations = 2};
  EXPECT_EQ(RandomView(bytes, kSmall, all, 1), RandomView(bytes, kSmall, all, 1));
  EXPECT_NE(RandomView(bytes, kSmall, all, 1), RandomView(bytes, kSmall, all, 2));
}

TEST(View, TestViewsArePlainMirroredAndCropped) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  const auto test_view = [&](int number) {
    std::vector<float> out(size_t{3} * 24 * 24);
    const absl::Status status = MakeTestView(bytes, kSmall, number, out.data());
    EXPECT_TRUE(status.ok()) << status;
    return out;
  };
  const std::vector<float> plain = View(bytes, kSmall);
  EXPECT_EQ(test_view(0), plain);
  std::vector<float> mirrored = plain;
  for (size_t row = 0; row < 3 * 24; ++row) std::reverse(mirrored.begin() + row * 24, mirrored.begin() + (row + 1) * 24);
  EXPECT_EQ(test_view(1), mirrored);
  for (int number = 2; number < 6; ++number) {
    EXPECT_EQ(test_view(number), test_view(number));
    for (int before = 0; before < number; ++before) EXPECT_GT(MeanDifference(test_view(number), test_view(before)), 0.01) << number << " " << before;
  }
}

TEST(View, FlipsAreAsOftenAsAsked) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  const std::vector<float> plain = View(bytes, kSmall);
  int flips = 0;
  for (int i = 0; i < 300; ++i) {
    const std::vector<float> out = RandomView(bytes, kSmall, {.horizontal_flip = 0.25}, i);
    if (out == plain) continue;
    ++flips;
    for (int x = 0; x < 24; ++x) ASSERT_EQ(out[x], plain[23 - x]);
  }
  EXPECT_NEAR(flips, 75, 25);
  EXPECT_NE(RandomView(bytes, kSmall, {.horizontal_flip = 1}, 0), plain);
}

TEST(View, EachAugmentationChangesTheImage) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  const std::vector<float> plain = View(bytes, kSmall);
  EXPECT_NE(RandomView(bytes, kSmall, {.crop_scale_min = 0.2}, 1), plain);
  EXPECT_NE(RandomView(bytes, kSmall, {.brightness = 0.5}, 1), plain);
  EXPECT_NE(RandomView(bytes, kSmall, {.contrast = 0.5}, 1), plain);
  EXPECT_NE(RandomView(bytes, kSmall, {.saturation = 0.5}, 1), plain);
  EXPECT_NE(RandomView(bytes, kSmall, {.hue = 0.5}, 1), plain);
  EXPECT_NE(RandomView(bytes, kSmall, {.rand_augment_operations = 3}, 1), plain);
}

// The crop is drawn in the sizes that the file states: decoding at a fraction of them must not move it.
TEST(View, ARandomCropOfALargeJpegIsTheSamePlaceAtAFractionOfTheSize) {
  const std::string bytes = GoldenFile("samples/view_large.jpg");
  const absl::StatusOr<Image> full = Decode(bytes, {});
  ASSERT_TRUE(full.ok());
  std::string lossless = StrCat("P6 ", full->width, " ", full->height, " 255\n");
  lossless.append(full->pixels.begin(), full->pixels.end());
  const ViewSpec tiny = {.image_size = 16, .resize_size = 16};
  for (uint64_t stream = 0; stream < 20; ++stream) {
    const Augmentation crop = {.crop_scale_min = 0.3};
    EXPECT_LT(MeanDifference(RandomView(bytes, tiny, crop, stream), RandomView(lossless, tiny, crop, stream)), 0.05) << stream;
  }
}

TEST(View, JpegIsDecodedAtAFractionOnlyWhileTheShorterSideLasts) {
  const std::string bytes = GoldenFile("samples/view_large.jpg");  // 160 x 132
  const struct {
    int shorter_side, width, height;
  } cases[] = {{0, 160, 132}, {67, 160, 132}, {66, 80, 66}, {34, 80, 66}, {33, 40, 33}, {18, 40, 33}, {17, 20, 17}, {1, 20, 17}};
  for (const auto& c : cases) {
    const absl::StatusOr<Image> image = Decode(bytes, {.shorter_side = c.shorter_side});
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, c.width) << c.shorter_side;
    EXPECT_EQ(image->height, c.height) << c.shorter_side;
  }
}

TEST(View, AnImageOfOnePixelWorks) {
  const std::vector<float> out = View(std::string("P6 1 1 255\n\xFF\xFF\xFF"), kSmall);
  EXPECT_FLOAT_EQ(out.front(), (1 - 0.485f) / 0.229f);
}

TEST(View, AThinImageWorks) {
  const std::string bytes = "P5 9000 1 255\n" + std::string(9000, '\x80');
  EXPECT_EQ(View(bytes, {.image_size = 224, .resize_size = 256}).size(), 3u * 224 * 224);
  EXPECT_EQ(RandomView(bytes, kSmall, {.crop_scale_min = 0.1}, 0).size(), 3u * 24 * 24);
}

TEST(View, BadImagesKeepTheirMessage) {
  std::vector<float> out(3 * 24 * 24);
  EXPECT_THAT(MakeView("no image", kSmall, nullptr, nullptr, out.data()).ToString(), HasSubstr("known formats are"));
}

TEST(View, BadSpecsAreRefusedFieldByField) {
  const std::string bytes = GoldenFile("samples/view_wide.jpg");
  std::vector<float> out(3 * 24 * 24);
  const struct {
    const char* message;
    std::function<void(ViewSpec&, Augmentation&)> spoil;
  } cases[] = {
      {"image_size is 0", [](ViewSpec& v, Augmentation&) { v.image_size = 0; }},
      {"resize_size is 23", [](ViewSpec& v, Augmentation&) { v.resize_size = 23; }},
      {"resize_size is 5000", [](ViewSpec& v, Augmentation&) { v.resize_size = 5000; }},
      {"standard_deviation has 0", [](ViewSpec& v, Augmentation&) { v.standard_deviation[1] = 0; }},
      {"crop_scale_min is 0", [](ViewSpec&, Augmentation& a) { a.crop_scale_min = 0; }},
      {"crop_scale_min is 1.5", [](ViewSpec&, Augmentation& a) { a.crop_scale_min = 1.5; }},
      {"horizontal_flip is -1", [](ViewSpec&, Augmentation& a) { a.horizontal_flip = -1; }},
      {"brightness is -0.1", [](ViewSpec&, Augmentation& a) { a.brightness = -0.1; }},
      {"contrast is nan", [](ViewSpec&, Augmentation& a) { a.contrast = std::nan(""); }},
      {"saturation is inf", [](ViewSpec&, Augmentation& a) { a.saturation = INFINITY; }},
      {"hue is 0.6", [](ViewSpec&, Augmentation& a) { a.hue = 0.6; }},
      {"rand_augment_operations is -1", [](ViewSpec&, Augmentation& a) { a.rand_augment_operations = -1; }},
      {"rand_augment_magnitude is 31", [](ViewSpec&, Augmentation& a) { a.rand_augment_magnitude = 31; }},
  };
  for (const auto& c : cases) {
    ViewSpec view = kSmall;
    Augmentation augmentation;
    c.spoil(view, augmentation);
    CounterRandom random(3, 0);
    const absl::Status status = MakeView(bytes, view, &augmentation, &random, out.data());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(status.ToString(), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace attune::images
