// Files that must be refused, and that are accepted though they are not quite right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/str_cat.h"
#include "server/images/image_info.h"
#include "tests/server/images/goldens.h"

namespace attune::images {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string BigEndian(uint32_t value) { return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8), static_cast<char>(value)}; }

void ExpectRefused(const std::string& bytes, const std::string& why) {
  const absl::StatusOr<Image> image = Decode(bytes, {});
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().ToString(), HasSubstr(why));
}

// `bytes` with what is at `at` replaced.
std::string With(std::string bytes, size_t at, const std::string& replacement) { return bytes.replace(at, replacement.size(), replacement); }

size_t FrameAt(const std::string& jpeg) { return std::min(jpeg.find("\xFF\xC0"), jpeg.find("\xFF\xC2")); }

TEST(BadImages, EmptyBytes) { ExpectRefused("", "the image is empty"); }

TEST(BadImages, UnknownFormatsAreToldWhatIsKnown) {
  for (const std::string& bytes : {std::string("GIF89a......"), std::string("II*\0....", 8), std::string("P3 1 1 255 0 0 0"), std::string("x")}) {
    const absl::StatusOr<ImageInfo> info = ReadImageInfo(bytes);
    EXPECT_THAT(info.status().ToString(), AllOf(HasSubstr("INVALID_ARGUMENT"), HasSubstr("JPEG, PNG, WebP, BMP, and binary PGM and PPM")));
  }
  ExpectRefused("GIF89a", "begins with \"GIF89a\"");
}

// Whatever its length, a beginning of a file is no file (JPEG's last bytes aside), and nothing is read behind its end (AddressSanitizer watches).
TEST(BadImages, EveryBeginningOfAFileIsRefused) {
  for (const char* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "interlaced.png", "lossy.webp", "lossless_alpha.webp", "24_bits.bmp", "8_bits.bmp",
                           "maximum_1000.ppm", "grey.pgm"}) {
    const std::string whole = GoldenFile(StrCat("samples/", name));
    const bool jpeg = std::string(name).find(".jpg") != std::string::npos, png = std::string(name).find(".png") != std::string::npos;
    const size_t spare = jpeg ? 40 : png ? 16 : 1;  // the end marker and scans cut to padding; the last checksum and IEND
    for (size_t length = 0; length + spare <= whole.size(); length += length < 700 ? 1 : 7) {
      const std::string part = whole.substr(0, length);  // of its own memory, exactly as long
      const absl::StatusOr<Image> image = Decode(std::string_view(part), {});
      ASSERT_FALSE(image.ok()) << name << " cut to " << length << " of " << whole.size();
      ASSERT_EQ(image.status().code(), absl::StatusCode::kInvalidArgument) << image.status();
    }
  }
}

TEST(BadImages, CutInTheMiddleIsCalledTruncated) {
  for (const char* name : {"420.jpg", "progressive.jpg", "rgb.png", "lossless.webp", "24_bits.bmp", "comment.ppm"}) {
    SCOPED_TRACE(name);
    const std::string whole = GoldenFile(StrCat("samples/", name));
    ExpectRefused(whole.substr(0, whole.size() * 3 / 4), "cut short");
  }
}

TEST(BadImages, JpegWithoutItsEndMarkerIsAccepted) {
  for (const char* name : {"samples/420.jpg", "samples/progressive.jpg", "samples/grey.jpg", "samples/cmyk.jpg"}) {
    const std::string whole = GoldenFile(name);
    ASSERT_EQ(whole.substr(whole.size() - 2), "\xFF\xD9");
    const absl::StatusOr<Image> image = Decode(whole.substr(0, whole.size() - 2), {});
    ASSERT_TRUE(image.ok()) << name << ": " << image.status();
    ExpectSame(*image, GoldenImage(name));
  }
}

TEST(BadImages, BytesBehindTheEndAreNotMinded) {
  for (const char* name : {"samples/420.jpg", "samples/rgb.png", "samples/lossy.webp", "samples/24_bits.bmp", "samples/comment.ppm"}) {
    const absl::StatusOr<Image> image = Decode(GoldenFile(name) + "and more", {});
    ASSERT_TRUE(image.ok()) << name << ": " << image.status();
    ExpectSame(*image, GoldenImage(name));
  }
}

TEST(BadImages, HugeImagesAreRefusedByTheirHeaders) {
  const std::string png = GoldenFile("samples/rgb.png");
  ExpectRefused(With(png, 16, BigEndian(30000) + BigEndian(30000)), "30000 x 30000 pixels, more than the 67108864");
  ExpectRefused(With(png, 16, BigEndian(70000) + BigEndian(1)), "a side may have up to 65535");
  const std::string jpeg = GoldenFile("samples/420.jpg");
  ExpectRefused(With(jpeg, FrameAt(jpeg) + 5, "\xFF\xFF\xFF\xFF"), "65535 x 65535 pixels");
  ExpectRefused("P6 60000 60000 255\n", "60000 x 60000 pixels");
  ExpectRefused(With(GoldenFile("samples/24_bits.bmp"), 18, std::string("\xFF\xFF\0\0\xFF\xFF\0\0", 8)), "65535 x 65535 pixels");
}

TEST(BadImages, MaxPixelsIsTheCallers) {
  const std::string bytes = GoldenFile("samples/rgb.png");
  EXPECT_TRUE(Decode(bytes, {.max_pixels = 21 * 17}).ok());
  EXPECT_THAT(Decode(bytes, {.max_pixels = 21 * 17 - 1}).status().ToString(), HasSubstr("21 x 17 pixels, more than the 356"));
}

TEST(BadImages, NoPixels) {
  ExpectRefused(With(GoldenFile("samples/rgb.png"), 16, BigEndian(0)), "it claims 0 x 17 pixels");
  const std::string jpeg = GoldenFile("samples/420.jpg");
  ExpectRefused(With(jpeg, FrameAt(jpeg) + 5, std::string(2, '\0')), "it claims 21 x 0 pixels");
  ExpectRefused(With(GoldenFile("samples/24_bits.bmp"), 18, std::string(4, '\0')), "it claims 0 x 17 pixels");
  ExpectRefused(With(GoldenFile("samples/24_bits.bmp"), 18, std::string("\xFE\xFF\xFF\xFF", 4)), "it claims -2 x 17 pixels");
  ExpectRefused("P6 0 5 255\n", "it claims 0 x 5 pixels");
}

TEST(BadImages, JpegWithManyScansIsRefused) {
  const std::string jpeg = GoldenFile("samples/progressive.jpg");
  // The first scan has the constant coefficients but for their last bit. Said to be in full, it may come again and again without any fault.
  const size_t begin = jpeg.find("\xFF\xDA"), end = jpeg.find("\xFF\xC4", begin);
  const size_t successive = begin + 2 + 2 + 1 + 3 * 2 + 2;
  ASSERT_EQ(jpeg[successive], '\x01');
  const std::string scan = With(jpeg, successive, std::string(1, '\0')).substr(begin, end - begin);
  std::string bomb = jpeg.substr(0, jpeg.size() - 2);
  for (int i = 0; i < 50; ++i) bomb += scan;
  EXPECT_TRUE(Decode(bomb + "\xFF\xD9", {}).ok());
  for (int i = 0; i < 100; ++i) bomb += scan;
  ExpectRefused(bomb + "\xFF\xD9", "it has more than 100 scans");
}

TEST(BadImages, JpegOfNoiseIsRefused) {
  std::string jpeg = GoldenFile("samples/restarts.jpg");
  // Each restart interval breaks off at once: a warning for each, over and over.
  const size_t scan = jpeg.find("\xFF\xDA") + 14;
  std::string restarts;
  for (int i = 0; i < 400; ++i) restarts += std::string("\xFF") + static_cast<char>(0xD0 + i % 8);
  const std::string tall = With(jpeg, FrameAt(jpeg) + 5, std::string("\x10\x00", 2));
  ExpectRefused(tall.substr(0, scan) + restarts + "\xFF\xD9", "JPEG file is damaged");
}

TEST(BadImages, JpegFaultsInTheHeader) {
  const std::string jpeg = GoldenFile("samples/420.jpg");
  const size_t frame = FrameAt(jpeg);
  ExpectRefused(jpeg.substr(0, frame) + jpeg.substr(jpeg.find("\xFF\xC4")), "no frame header before the first scan");
  ExpectRefused(With(jpeg, frame + 2, std::string("\0\1", 2)), "a marker's length is under 2");
  ExpectRefused(With(jpeg, frame + 4, "\x0C"), "JPEG file is damaged");  // 12 bits
}

TEST(BadImages, PngFaults) {
  const std::string png = GoldenFile("samples/rgb.png");
  ExpectRefused(With(png, 25, "\x05"), "its header makes no sense");
  ExpectRefused(With(png, 12, "IHDX"), "does not begin with a header");
  ExpectRefused(With(png, 60, "\xFF\xFF\xFF\xFF"), "PNG file is damaged");
}

TEST(BadImages, BmpFaults) {
  const std::string bmp = GoldenFile("samples/24_bits.bmp");
  ExpectRefused(With(bmp, 28, "\x10"), "16 bits for each pixel");
  ExpectRefused(With(bmp, 30, "\x01"), "it is compressed");
  ExpectRefused(With(bmp, 14, "\x0D"), "its header claims 13 bytes");
  ExpectRefused(With(bmp, 10, "\xFF\xFF\xFF\xFF"), "cut short");
  ExpectRefused(With(GoldenFile("samples/bit_fields.bmp"), 54, "\xF0\x0F"), "colour masks are no whole bytes");
}

TEST(BadImages, PnmFaults) {
  ExpectRefused("P5 2 x 255\n....", "not width, height and maximum");
  ExpectRefused("P5 2 2 0\n....", "not within 1 and 65535");
  ExpectRefused("P5 2 2 65536\n....", "not within 1 and 65535");
  ExpectRefused("P5 2 99999999999 255\n....", "not width, height and maximum");
  ExpectRefused("P5 2 2 255....", "does not end with a space");
  ExpectRefused("P5 2 2 255\n...", "cut short");
  ExpectRefused("P5 # never ends", "cut short");
}

TEST(BadImages, WebpFaults) {
  const std::string webp = GoldenFile("samples/lossless_alpha.webp");
  ExpectRefused(With(webp, 12, "XXXX"), "WebP file is damaged");
  // VP8X with the flag of an animation.
  const std::string canvas("VP8X\x0A\0\0\0\x02\0\0\0\x14\0\0\x10\0\0", 18);
  ExpectRefused(std::string("RIFF\x30\0\0\0WEBP", 12) + canvas + std::string("ANIM\x06\0\0\0\0\0\0\0\0\0", 14) + std::string(8, '\0'), "is an animation");
}

TEST(BadImages, SenselessOrientationsCountAsNone) {
  const std::string upright = GoldenFile("samples/orientation_1.jpg"), turned = GoldenFile("samples/orientation_6.jpg");
  const size_t tag = turned.find(std::string("\x01\x12\x00\x03", 4)) == std::string::npos ? turned.find(std::string("\x12\x01\x03\x00", 4))
                                                                                             : turned.find(std::string("\x01\x12\x00\x03", 4));
  ASSERT_NE(tag, std::string::npos);
  EXPECT_EQ(ReadImageInfo(turned)->width, 17);
  EXPECT_EQ(ReadImageInfo(With(turned, tag + 8, std::string("\x09\x09", 2)))->width, 21);  // no such orientation
  EXPECT_EQ(ReadImageInfo(With(turned, tag + 2, std::string("\x07\x07", 2)))->width, 21);  // of another type
  const size_t exif = turned.find(std::string("Exif\0\0", 6)) + 6;
  EXPECT_EQ(ReadImageInfo(With(turned, exif, "XX"))->width, 21);                              // no byte order
  EXPECT_EQ(ReadImageInfo(With(turned, exif + 4, "\xFF\xFF\xFF\xFF"))->width, 21);            // a directory out of bounds
  EXPECT_EQ(ReadImageInfo(upright)->width, 21);
}

}  // namespace
}  // namespace attune::images
