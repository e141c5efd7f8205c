// Decoding, resizing, augmenting and whole views against what Pillow and torchvision compute.
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "server/images/augment/color_operations.h"
#include "server/images/augment/geometry.h"
#include "server/images/augment/rand_augment.h"
#include "server/images/augment/tone_operations.h"
#include "server/images/image_info.h"
#include "server/images/resize.h"
#include "server/images/view.h"
#include "tests/server/images/goldens.h"

namespace attune::images {
namespace {

TEST(ImageGolden, EveryFormatIsDecodedAsPillowDoes) {
  for (const auto& sample : Goldens()["samples"]) {
    const std::string name = sample["file"];
    SCOPED_TRACE(name);
    const absl::StatusOr<Image> image = Decode(GoldenFile(name), {});
    ASSERT_TRUE(image.ok()) << image.status();
    ExpectSame(*image, GoldenImage(sample["reference"]));
  }
}

TEST(ImageGolden, HeadersSayWhatTheFileIs) {
  for (const auto& sample : Goldens()["samples"]) {
    SCOPED_TRACE(sample["file"].get<std::string>());
    const absl::StatusOr<ImageInfo> info = ReadImageInfo(GoldenFile(sample["file"]));
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(ImageFormatName(info->format), sample["format"].get<std::string>());
    EXPECT_EQ(info->width, sample["width"].get<int>());
    EXPECT_EQ(info->height, sample["height"].get<int>());
    EXPECT_EQ(info->channels, sample["channels"].get<int>());
  }
}

// The other references are PNG files, so PNG itself is compared with plain bytes.
TEST(ImageGolden, PngIsWhatThePixelsAre) {
  const std::string ppm = GoldenFile("references/picture.ppm");
  const std::string header = "P6\n21 17\n255\n";
  ASSERT_EQ(ppm.substr(0, header.size()), header);
  const Image image = GoldenImage("samples/rgb.png");
  EXPECT_EQ(std::string(image.pixels.begin(), image.pixels.end()), ppm.substr(header.size()));
}

TEST(ImageGolden, ResizesAreEqualToPillows) {
  const auto& goldens = Goldens()["resizes"];
  const Image source = GoldenImage(goldens["source"]);
  for (const auto& golden : goldens["cases"]) {
    SCOPED_TRACE(golden.dump());
    const std::vector<int> box = golden["box"], size = golden["size"];
    const ResizeFilter filter = golden["filter"] == "bicubic" ? ResizeFilter::kBicubic : ResizeFilter::kBilinear;
    const Image resized = ResizeCrop(source, {box[0], box[1], box[2], box[3]}, size[0], size[1], {0, 0, size[0], size[1]}, filter);
    ExpectSame(resized, GoldenImage(golden["reference"]));
  }
}

TEST(ImageGolden, OperationsAreEqualToPillows) {
  const std::map<std::string, std::function<void(Image&, double)>> operations = {
      {"brightness", AdjustBrightness},
      {"contrast", AdjustContrast},
      {"saturation", AdjustSaturation},
      {"sharpness", AdjustSharpness},
      {"hue", AdjustHue},
      {"posterize", [](Image& image, double bits) { Posterize(image, static_cast<int>(bits)); }},
      {"solarize", Solarize},
      {"autocontrast", [](Image& image, double) { AutoContrast(image); }},
      {"equalize", [](Image& image, double) { Equalize(image); }},
      {"flip", [](Image& image, double) { FlipHorizontally(image); }},
      {"shear_x", [](Image& image, double slope) { ApplyRandAugment(RandAugmentOperation::kShearX, slope, image); }},
      {"shear_y", [](Image& image, double slope) { ApplyRandAugment(RandAugmentOperation::kShearY, slope, image); }},
      {"translate_x", [](Image& image, double pixels) { ApplyRandAugment(RandAugmentOperation::kTranslateX, pixels, image); }},
      {"translate_y", [](Image& image, double pixels) { ApplyRandAugment(RandAugmentOperation::kTranslateY, pixels, image); }},
      {"rotate", [](Image& image, double degrees) { ApplyRandAugment(RandAugmentOperation::kRotate, degrees, image); }},
  };
  const auto& goldens = Goldens()["operations"];
  const Image source = GoldenImage(goldens["source"]);
  for (const auto& golden : goldens["cases"]) {
    SCOPED_TRACE(golden.dump());
    Image image = source;
    operations.at(golden["operation"])(image, golden["argument"].get<double>());
    ExpectSame(image, GoldenImage(golden["reference"]));
  }
}

TEST(ImageGolden, RandAugmentHasTorchvisionsTable) {
  const auto& goldens = Goldens()["magnitudes"];
  ASSERT_EQ(goldens.size(), static_cast<size_t>(kRandAugmentOperations));
  for (const auto& golden : goldens) {
    SCOPED_TRACE(golden["name"].get<std::string>());
    const auto operation = static_cast<RandAugmentOperation>(golden["operation"].get<int>());
    EXPECT_EQ(IsSigned(operation), golden["signed"].get<bool>());
    const std::vector<double> values = golden["values"];
    ASSERT_EQ(values.size(), static_cast<size_t>(kRandAugmentMagnitudes));
    for (int i = 0; i < kRandAugmentMagnitudes; ++i) EXPECT_NEAR(RandAugmentMagnitude(operation, i, 240, 180), values[i], 2e-5) << i;
  }
}

TEST(ImageGolden, ViewsAreTorchvisions) {
  const auto& goldens = Goldens()["views"];
  const std::vector<std::vector<float>> levels = goldens["levels"];
  for (const auto& golden : goldens["cases"]) {
    SCOPED_TRACE(golden.dump());
    const ViewSpec view = {.image_size = golden["crop"], .resize_size = golden["resize"], .bicubic = golden["filter"] == "bicubic"};
    const Image reference = GoldenImage(golden["reference"]);
    const size_t pixels = reference.pixels.size() / 3;
    std::vector<float> out(3 * pixels);
    const absl::Status made = MakeView(GoldenFile(golden["file"]), view, nullptr, nullptr, out.data());
    ASSERT_TRUE(made.ok()) << made;
    double difference = 0;
    for (size_t c = 0; c < 3; ++c) {
      for (size_t i = 0; i < pixels; ++i) difference += std::abs(out[c * pixels + i] - levels[c][reference.pixels[3 * i + c]]);
    }
    EXPECT_LE(difference / static_cast<double>(out.size()), golden["tolerance"].get<double>());
  }
}

}  // namespace
}  // namespace attune::images
