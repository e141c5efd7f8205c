// tests/golden/images: files of every format, and what Pillow and torchvision make of them (tests/golden/make_image_goldens.py).
//
//   for (const auto& sample : Goldens()["samples"]) EXPECT_EQ(..., GoldenImage(sample["reference"]).pixels);
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "server/images/decode.h"

namespace attune::images {

// A file's bytes; empty, with a failure, where it is missing.
inline std::string GoldenFile(const std::string& name) {
  const char* root = std::getenv("ATTUNE_SOURCE_DIR");
  std::ifstream file(std::string(root == nullptr ? "." : root) + "/tests/golden/images/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline const nlohmann::json& Goldens() {
  static const nlohmann::json goldens = nlohmann::json::parse(GoldenFile("goldens.json"));
  return goldens;
}

inline Image GoldenImage(const std::string& name) {
  absl::StatusOr<Image> image = Decode(GoldenFile(name), {});
  EXPECT_TRUE(image.ok()) << name << ": " << image.status();
  return image.ok() ? *image : Image();
}

// Equal in size, and in every pixel.
inline void ExpectSame(const Image& image, const Image& golden) {
  ASSERT_EQ(image.width, golden.width);
  ASSERT_EQ(image.height, golden.height);
  size_t different = 0;
  int most = 0;
  for (size_t i = 0; i < golden.pixels.size(); ++i) {
    const int difference = std::abs(image.pixels[i] - golden.pixels[i]);
    different += difference != 0;
    most = std::max(most, difference);
  }
  EXPECT_EQ(different, 0u) << "of " << golden.pixels.size() << " values, by up to " << most;
}

}  // namespace attune::images
