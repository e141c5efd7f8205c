#include "server/datasets/images/image_check.h"

#include "gmock/gmock.h"
#include "server/datasets/images/image_check_queue.h"
#include "server/images/decode.h"
#include "tests/server/datasets/images/archive_files.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;

TEST(ImageCheckTest, GoodImages) {
  const ImageVerdict png = CheckImage(Png(40, 30, 1), {});
  EXPECT_FALSE(png.fault.has_value());
  EXPECT_EQ(png.facts.width, 40);
  EXPECT_EQ(png.facts.height, 30);
  EXPECT_EQ(std::string(png.facts.format), "png");
  EXPECT_EQ(std::string(CheckImage(Pgm(8, 8, 1), {}).facts.format), "pnm");
}

TEST(ImageCheckTest, UNREADABLE_IMAGE) {
  const std::string good = Png(40, 30, 1);
  for (const std::string& bytes :
       {std::string(), std::string("GIF89a..."), std::string("<html>not found</html>"), good.substr(0, good.size() / 2),
        good.substr(0, 20), Pgm(40, 30, 1).substr(0, 700)}) {
    const ImageVerdict verdict = CheckImage(bytes, {});
    ASSERT_TRUE(verdict.fault.has_value()) << bytes.size();
    EXPECT_EQ(verdict.fault->kind, v1::RowIssue::KIND_UNREADABLE_IMAGE);
    EXPECT_FALSE(verdict.fault->message.empty());
  }
}

TEST(ImageCheckTest, IMAGE_TOO_SMALL) {
  const ImageVerdict verdict = CheckImage(Pgm(7, 100, 1), {});
  ASSERT_TRUE(verdict.fault.has_value());
  EXPECT_EQ(verdict.fault->kind, v1::RowIssue::KIND_IMAGE_TOO_SMALL);
  EXPECT_THAT(verdict.fault->message, HasSubstr("7 x 100 pixels"));
}

TEST(ImageCheckTest, IMAGE_TOO_LARGE) {
  // By its header alone: there is nothing behind it.
  const ImageVerdict verdict = CheckImage(PngHeader(30'000, 30'000), {});
  ASSERT_TRUE(verdict.fault.has_value());
  EXPECT_EQ(verdict.fault->kind, v1::RowIssue::KIND_IMAGE_TOO_LARGE);
  EXPECT_THAT(verdict.fault->message, HasSubstr("30000 x 30000 pixels"));
  EXPECT_EQ(CheckImage(Pgm(20, 20, 1), {.max_pixels = 399}).fault->kind, v1::RowIssue::KIND_IMAGE_TOO_LARGE);
  EXPECT_FALSE(CheckImage(Pgm(20, 20, 1), {.max_pixels = 400}).fault.has_value());
  EXPECT_EQ(ImageHasTooManyBytes(5).kind, v1::RowIssue::KIND_IMAGE_TOO_LARGE);
}

TEST(ImageCheckQueueTest, GivesBackInOrder) {
  ImageCheckQueue queue({.check_threads = 3});
  uint32_t taken = 0;
  const auto take = [&] {
    const ImageJob job = queue.TakeOldest();
    EXPECT_EQ(job.image, taken);
    EXPECT_EQ(job.verdict.fault.has_value(), taken % 5 == 0) << taken;
    if (taken % 5 != 0) EXPECT_EQ(job.verdict.facts.width, 8 + static_cast<int>(taken % 7));
    ++taken;
  };
  for (uint32_t i = 0; i < 500; ++i) {
    while (queue.full()) take();
    ImageJob job{.image = i, .bytes = Pgm(8 + static_cast<int>(i % 7), 9, 1)};
    if (i % 10 == 0) job.verdict.fault = ImageHasTooManyBytes(1);  // passed through
    if (i % 10 == 5) job.bytes = "not an image";
    queue.Put(std::move(job));
  }
  while (!queue.empty()) take();
  EXPECT_EQ(taken, 500u);
}

TEST(ImageCheckQueueTest, IsFullByBytesAndMayBeLeftFull) {
  ImageCheckQueue queue({.check_threads = 1});
  EXPECT_FALSE(queue.full());
  queue.Put({.image = 0, .bytes = std::string(size_t{65} << 20, 'x')});
  EXPECT_TRUE(queue.full());
  EXPECT_FALSE(queue.empty());
}

TEST(ThumbnailTest, IsSmallerAndKeepsItsShape) {
  for (const auto& [width, height, pixels, wide, high] :
       {std::tuple(400, 200, 96, 96, 48), std::tuple(30, 600, 60, 3, 60), std::tuple(20, 10, 96, 20, 10),
        std::tuple(1000, 1, 10, 10, 1)}) {
    const auto thumbnail = MakeThumbnail(Png(width, height, 3), pixels);
    ASSERT_TRUE(thumbnail.ok()) << thumbnail.status();
    const auto image = images::Decode(*thumbnail, {});
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, wide);
    EXPECT_EQ(image->height, high);
  }
  EXPECT_EQ(MakeThumbnail("x", 96).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ThumbnailTest, PngComesBackPixelByPixelAndAreasAreAveraged) {
  images::Image image(4, 2);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(250 - 10 * i);
  const auto decoded = images::Decode(EncodePng(image), {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->pixels, image.pixels);
  const auto small = images::Decode(*MakeThumbnail(EncodePng(image), 2), {});
  ASSERT_EQ(small->width, 2);
  ASSERT_EQ(small->height, 1);
  EXPECT_EQ(small->pixels[0], (250 + 220 + 130 + 100 + 2) / 4);
}

}  // namespace
}  // namespace attune::datasets
