#include "server/training/input/image_batches.h"

#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/base/str_cat.h"
#include "server/training/input/feature_batches.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kRows = 10;

// 40 x 40 grey with a bright left half, the brighter the higher the row.
std::string Image(int64_t row) {
  std::string bytes = "P5\n40 40\n255\n";
  for (int i = 0; i < 1600; ++i) bytes.push_back(static_cast<char>(i % 40 < 20 ? 60 + 15 * row : 20));
  return bytes;
}

class ImageBatchesTest : public ::testing::Test {
 protected:
  std::shared_ptr<const examples::ExampleReader> Write(const std::string& broken_row_7 = "") {
    auto writer = examples::ExampleWriter::Create(Files::Posix(), root_.path() + "/data");
    EXPECT_TRUE(writer.ok());
    for (int64_t i = 0; i < kRows; ++i) {
      examples::Example example;
      example.image = i == 7 && !broken_row_7.empty() ? broken_row_7 : Image(i);
      example.entry = StrCat("class/", i, ".pgm");
      example.labels = {static_cast<int32_t>(i % 2)};
      EXPECT_TRUE((*writer)->Add(examples::Split::kTrain, example).ok());
    }
    examples::DatasetManifest manifest;
    manifest.modality = examples::Modality::kImage;
    manifest.labels = {"even", "odd"};
    manifest.filenames = {"photos.tar"};
    EXPECT_TRUE((*writer)->Finish(manifest).ok());
    return *examples::ExampleReader::Open(root_.path() + "/data");
  }
  static ImageViewOptions Augmented() {
    ImageViewOptions options;
    options.view.image_size = options.view.resize_size = 32;
    options.augmentation = images::Augmentation{.crop_scale_min = 0.3, .horizontal_flip = 0.5, .brightness = 0.2};
    return options;
  }
  static ImageViewOptions Plain() {
    ImageViewOptions options = Augmented();
    options.augmentation.reset();
    return options;
  }
  static at::Tensor Labels(const std::vector<const examples::Example*>& examples) {
    at::Tensor targets = at::full({static_cast<int64_t>(examples.size())}, 0, at::kLong);
    for (size_t i = 0; i < examples.size(); ++i) targets[static_cast<int64_t>(i)] = examples[i]->labels[0];
    return targets;
  }
  TemporaryDirectory root_;
};

TEST_F(ImageBatchesTest, PlainBatchesHaveEachRowAndItsTarget) {
  const ImageBatches batches(Write(), examples::Split::kTrain, {.rows = kRows, .batch_size = 4, .shuffle = false}, Plain(), Labels);
  ASSERT_EQ(batches.batches_per_epoch(), 3);
  const Batch last = batches.Make(0, 2);
  EXPECT_EQ(last.rows, 2);
  EXPECT_EQ(last.pixels.sizes(), (at::IntArrayRef{2, 3, 32, 32}));
  EXPECT_TRUE(last.targets.equal(at::tensor({0, 1}, at::kLong)));
  // Row 9 is brighter than row 8 on the left, and equal on the right.
  EXPECT_GT(last.pixels[1][0][16][4].item<float>(), last.pixels[0][0][16][4].item<float>());
  EXPECT_EQ(last.pixels[1][0][16][30].item<float>(), last.pixels[0][0][16][30].item<float>());
  EXPECT_TRUE(batches.Make(0, 2).pixels.equal(batches.Make(5, 2).pixels));  // plain and in order: every epoch is the same
}

TEST_F(ImageBatchesTest, WhatAnExampleBecomesDependsOnSeedEpochAndExampleAlone) {
  const auto reader = Write();
  const ImageBatches by_four(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 4, .seed = 5}, Augmented(), nullptr);
  const ImageBatches by_ten(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .seed = 5}, Augmented(), nullptr);
  const Batch all = by_ten.Make(3, 0);
  for (int64_t b = 2; b >= 0; --b) {
    const Batch batch = by_four.Make(3, b);
    for (int64_t i = 0; i < batch.rows; ++i) EXPECT_TRUE(batch.pixels[i].equal(all.pixels[b * 4 + i])) << b << " " << i;
  }
  const ImageBatches other_seed(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .seed = 6, .shuffle = false}, Augmented(), nullptr);
  const ImageBatches in_order(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .seed = 5, .shuffle = false}, Augmented(), nullptr);
  EXPECT_FALSE(in_order.Make(0, 0).pixels.equal(in_order.Make(1, 0).pixels));
  EXPECT_FALSE(in_order.Make(0, 0).pixels.equal(other_seed.Make(0, 0).pixels));
}

TEST_F(ImageBatchesTest, FixedViewsComeRoundAndDependOnSeedViewAndExampleAlone) {
  const auto reader = Write();
  const BatchRowsOptions in_order = {.rows = kRows, .batch_size = 10, .seed = 5, .shuffle = false};
  const auto with = [&](int views, int first, const BatchRowsOptions& rows) {
    ImageViewOptions options = Augmented();
    options.fixed_views = views;
    options.first_view = first;
    return ImageBatches(reader, examples::Split::kTrain, rows, options, nullptr);
  };
  const ImageBatches three = with(3, 0, in_order);
  EXPECT_FALSE(three.Make(0, 0).pixels.equal(three.Make(1, 0).pixels));
  EXPECT_FALSE(three.Make(1, 0).pixels.equal(three.Make(2, 0).pixels));
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_TRUE(three.Make(epoch, 0).pixels.equal(three.Make(epoch + 6, 0).pixels));
    EXPECT_TRUE(three.Make(epoch, 0).pixels.equal(with(8, 0, in_order).Make(epoch, 0).pixels)) << "how many views there are does not change one";
    EXPECT_TRUE(three.Make(epoch, 0).pixels.equal(with(3, static_cast<int>(epoch), in_order).Make(0, 0).pixels));
  }
  BatchRowsOptions shuffled = in_order;
  shuffled.shuffle = true;
  const Batch batch = with(3, 0, shuffled).Make(4, 0);
  const at::Tensor view_1 = three.Make(1, 0).pixels;
  for (int64_t i = 0; i < batch.rows; ++i) EXPECT_TRUE(batch.pixels[i].equal(view_1[batch.example_indices[i]])) << i;
  BatchRowsOptions other_seed = in_order;
  other_seed.seed = 6;
  EXPECT_FALSE(with(3, 0, other_seed).Make(0, 0).pixels.equal(three.Make(0, 0).pixels));
}

TEST_F(ImageBatchesTest, TestViewsAreThoseOfPrediction) {
  const auto reader = Write();
  for (int view = 0; view < 4; ++view) {
    ImageViewOptions options = Plain();
    options.test_view = view;
    const Batch batch = ImageBatches(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 2, .shuffle = false}, options, Labels).Make(0, 0);
    EXPECT_TRUE(batch.pixels.equal(PixelsOf({Image(0), Image(1)}, options.view, 0, view))) << view;
  }
}

TEST_F(ImageBatchesTest, ARowThatIsDrawnTwiceIsAugmentedAnew) {
  BatchRowsOptions rows{.rows = kRows, .batch_size = 4, .seed = 5};
  rows.order = [](int64_t) { return std::vector<int64_t>(kRows, 3); };
  const auto reader = Write();
  const ImageBatches batches(reader, examples::Split::kTrain, rows, Augmented(), nullptr);
  const Batch first = batches.Make(0, 0), second = batches.Make(0, 1);
  EXPECT_EQ(first.example_indices, (std::vector<int64_t>{3, 3, 3, 3}));
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      EXPECT_EQ(first.pixels[i].equal(first.pixels[j]), i == j) << i << " " << j;
      EXPECT_FALSE(first.pixels[i].equal(second.pixels[j])) << i << " " << j;
    }
  }
  rows.batch_size = 8;  // by its place in the epoch, not in the batch
  const Batch both = ImageBatches(reader, examples::Split::kTrain, rows, Augmented(), nullptr).Make(0, 0);
  EXPECT_TRUE(both.pixels.slice(0, 4, 8).equal(second.pixels));
}

TEST_F(ImageBatchesTest, MixupMixesPixelsAndTargetsAlike) {
  ImageViewOptions options = Plain();
  options.augmentation = images::Augmentation{};  // changes nothing by itself
  options.mixup_alpha = 1;
  const auto reader = Write();
  const ImageBatches mixed(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .shuffle = false}, options, Labels);
  const ImageBatches plain(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .shuffle = false}, Plain(), Labels);
  const Batch batch = mixed.Make(1, 0);
  const Batch before = plain.Make(1, 0);
  ASSERT_TRUE(batch.mixed_targets.defined());
  EXPECT_TRUE(batch.mixed_targets.equal(before.targets.roll(1, 0)));
  EXPECT_GT(batch.mix, 0);
  EXPECT_LT(batch.mix, 1);
  EXPECT_TRUE(batch.pixels.allclose(before.pixels * batch.mix + before.pixels.roll(1, 0) * (1 - batch.mix)));
  EXPECT_EQ(mixed.Make(1, 0).mix, batch.mix);
  EXPECT_NE(mixed.Make(2, 0).mix, batch.mix);
}

TEST_F(ImageBatchesTest, CutMixTakesABoxOfTheSizeOfItsWeight) {
  ImageViewOptions options = Plain();
  options.augmentation = images::Augmentation{};
  options.cutmix_alpha = 1;
  const auto reader = Write();
  const ImageBatches mixed(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .shuffle = false}, options, Labels);
  const ImageBatches plain(reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .shuffle = false}, Plain(), Labels);
  const Batch before = plain.Make(0, 0);
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    const Batch batch = mixed.Make(epoch, 0);
    const at::Tensor partner = before.pixels.roll(1, 0);
    // Every pixel is its own or its partner's; where the two differ, those taken are at most the box.
    EXPECT_TRUE(((batch.pixels == before.pixels) | (batch.pixels == partner)).all().item<bool>());
    const double taken = (batch.pixels != before.pixels).to(at::kFloat).mean().item<double>();
    EXPECT_LE(taken, 1 - batch.mix + 1e-6);
  }
}

TEST_F(ImageBatchesTest, AnImageThatCannotBeReadIsNamed) {
  const ImageBatches batches(Write("not an image"), examples::Split::kTrain, {.rows = kRows, .batch_size = 10}, Plain(), Labels);
  try {
    batches.Make(0, 0);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("class/7.pgm"));
  }
}

TEST_F(ImageBatchesTest, FeatureBatchesHaveTheSameRowsInTheSameOrder) {
  const auto reader = Write();
  FeatureStore store(Files::Posix(), root_.path() + "/features", 1 << 20);
  auto writer = store.Create("key", kRows, {2, 3});
  ASSERT_TRUE(writer.ok());
  for (int64_t i = 0; i < kRows; ++i) {
    const std::vector<float> row(6, static_cast<float>(i));
    ASSERT_TRUE((*writer)->Append(row.data(), 1).ok());
  }
  const auto table = (*writer)->Finish();
  ASSERT_TRUE(table.ok());
  const BatchRowsOptions rows = {.rows = kRows, .batch_size = 4, .seed = 9};
  const FeatureBatches features(*table, 3, reader, examples::Split::kTrain, rows, Labels);
  const ImageBatches pixels(reader, examples::Split::kTrain, rows, Plain(), Labels);
  for (int64_t b = 0; b < 3; ++b) {
    const Batch ours = features.Make(2, b), theirs = pixels.Make(2, b);
    EXPECT_EQ(ours.example_indices, theirs.example_indices);
    EXPECT_TRUE(ours.targets.equal(theirs.targets));
    EXPECT_EQ(ours.prefix_groups, 3);
    EXPECT_EQ(ours.prefix_output.sizes(), (at::IntArrayRef{ours.rows, 2, 3}));
    for (int64_t i = 0; i < ours.rows; ++i) EXPECT_EQ(ours.prefix_output[i][1][2].item<int64_t>(), ours.example_indices[i]);
  }
  EXPECT_THROW(FeatureBatches(*table, 3, reader, examples::Split::kTrain, {.rows = 9}, Labels), std::invalid_argument);
}

TEST_F(ImageBatchesTest, FeatureBatchesReadTheTableOfTheEpochsView) {
  const auto reader = Write();
  FeatureStore store(Files::Posix(), root_.path() + "/features", 1 << 20);
  std::vector<std::shared_ptr<const FeatureTable>> tables = {nullptr, nullptr, nullptr};
  for (int view : {1, 2}) {
    auto writer = store.Create(StrCat("view ", view), kRows, {1});
    ASSERT_TRUE(writer.ok());
    for (int64_t i = 0; i < kRows; ++i) {
      const float value = static_cast<float>(100 * view + i);
      ASSERT_TRUE((*writer)->Append(&value, 1).ok());
    }
    tables[view] = *(*writer)->Finish();
  }
  const FeatureBatches features(tables, 3, reader, examples::Split::kTrain, {.rows = kRows, .batch_size = 10, .seed = 9}, Labels);
  for (int64_t epoch : {1, 2, 4, 5}) {
    const Batch batch = features.Make(epoch, 0);
    for (int64_t i = 0; i < batch.rows; ++i) EXPECT_EQ(batch.prefix_output[i][0].item<int64_t>(), 100 * (epoch % 3) + batch.example_indices[i]) << epoch;
  }
}

TEST(PixelsOf, CountsFromTheFirst) {
  images::ViewSpec view;
  view.image_size = view.resize_size = 32;
  const std::string good = Image(1);
  EXPECT_EQ(PixelsOf({good, good}, view).sizes(), (at::IntArrayRef{2, 3, 32, 32}));
  try {
    PixelsOf({good, "bad"}, view, 32);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("image 34"));
  }
}

}  // namespace
}  // namespace attune::training
