#include "server/training/input/replay_batches.h"

#include <set>
#include <stdexcept>
#include <string>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "server/training/input/batch_rows.h"
#include "server/training/input/text_batches.h"

namespace attune::training {
namespace {

// Pixels and targets are the row's number.
class Numbers : public BatchSource {
 public:
  explicit Numbers(const BatchRowsOptions& options) : rows_(options) {}
  int64_t batches_per_epoch() const override { return rows_.batches_per_epoch(); }
  Batch Make(int64_t epoch, int64_t number) const override {
    Batch batch;
    batch.example_indices = rows_.Of(epoch, number);
    batch.rows = static_cast<int64_t>(batch.example_indices.size());
    batch.targets = at::empty({batch.rows}, at::kLong);
    for (int64_t i = 0; i < batch.rows; ++i) batch.targets[i] = batch.example_indices[i];
    batch.pixels = batch.targets.to(at::kFloat).view({-1, 1, 1, 1});
    batch.mix = 0.25;
    batch.mixed_targets = batch.targets;
    return batch;
  }

 private:
  const BatchRows rows_;
};

ReplayBatches Mixed() {
  return {std::make_unique<Numbers>(BatchRowsOptions{.rows = 10, .batch_size = 4, .seed = 1}),
          std::make_unique<Numbers>(BatchRowsOptions{.rows = 7, .batch_size = 2, .seed = 2}), /*second_per_pass=*/3};
}

TEST(ReplayBatches, EachBatchHasRowsOfBoth) {
  const ReplayBatches batches = Mixed();
  ASSERT_EQ(batches.batches_per_epoch(), 3);
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    std::multiset<int64_t> own;
    for (int64_t b = 0; b < 3; ++b) {
      const Batch batch = batches.Make(epoch, b);
      ASSERT_NE(batch.replay, nullptr);
      EXPECT_EQ(batch.replay->rows, 2);
      const int64_t first = batch.rows - 2;
      EXPECT_EQ(first, b == 2 ? 2 : 4);
      EXPECT_EQ(batch.targets.size(0), first);
      EXPECT_EQ(batch.mixed_targets.size(0), first);
      EXPECT_EQ(batch.pixels.size(0), batch.rows);
      EXPECT_TRUE(batch.pixels.flatten().to(at::kLong).equal(at::cat({batch.targets, batch.replay->targets})));
      EXPECT_EQ(batch.replay->mix, 0.25);
      EXPECT_FALSE(batch.replay->pixels.defined());
      for (int64_t i = 0; i < first; ++i) own.insert(batch.targets[i].item<int64_t>());
    }
    EXPECT_EQ(own.size(), 10u) << "an epoch is one pass over the first";
    EXPECT_EQ(std::set<int64_t>(own.begin(), own.end()).size(), 10u);
  }
}

TEST(ReplayBatches, TheSecondComesRoundInShuffledPasses) {
  const ReplayBatches batches = Mixed();
  std::set<int64_t> seen;
  std::set<std::string> passes;
  for (int64_t pass = 0; pass < 8; ++pass) {
    std::set<int64_t> of_pass;
    std::string order;
    for (int64_t b = 0; b < 3; ++b) {
      const Batch batch = batches.Make(pass, b);
      for (int64_t i = 0; i < 2; ++i) {
        const int64_t row = batch.replay->targets[i].item<int64_t>();
        of_pass.insert(row);
        order += std::to_string(row);
      }
    }
    EXPECT_EQ(of_pass.size(), 6u) << "no row twice in a pass";
    seen.insert(of_pass.begin(), of_pass.end());
    passes.insert(order);
  }
  EXPECT_EQ(seen.size(), 7u) << "the row that a pass leaves out is another one each time";
  EXPECT_GT(passes.size(), 6u);
}

TEST(Concatenate, PackedTextsStandBehindEachOther) {
  const auto text = [](std::vector<int32_t> ids) {
    TokenizedText out;
    out.ids.assign(ids.begin(), ids.end());
    return out;
  };
  Batch first = PackTexts({text({1, 2, 3}), text({4, 5})}), second = PackTexts({text({6, 7}), text({8, 9})});
  first.targets = at::full({2}, 1, at::kLong);
  second.targets = at::full({2}, 3, at::kLong);
  const Batch both = Concatenate(first, second);
  EXPECT_EQ(both.rows, 4);
  EXPECT_EQ(both.text.sequences, 4);
  EXPECT_EQ(both.text.tokens, 9);
  ASSERT_EQ(both.text.runs.size(), 3u);
  EXPECT_EQ(both.text.runs[2].first_sequence, 2);
  EXPECT_EQ(both.text.runs[2].first_token, 5);
  EXPECT_EQ(both.text.runs[2].count, 2);
  EXPECT_EQ(both.text.runs[2].length, 2);
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t token = both.text.token_ids[both.text.first_token[i].item<int64_t>()].item<int64_t>();
    EXPECT_EQ(token, (std::vector<int64_t>{4, 1, 6, 8})[static_cast<size_t>(i)]) << i;
  }
  EXPECT_EQ(both.text.position_ids[5].item<int64_t>(), 0);
  EXPECT_EQ(both.text.truncated.size(), 4u);
  EXPECT_TRUE(both.targets.equal(first.targets));
  EXPECT_TRUE(both.replay->targets.equal(second.targets));
}

TEST(Concatenate, TextsAndImagesAreRefused) {
  Batch text = PackTexts({TokenizedText{.ids = {1, 2}}}), image;
  image.pixels = at::arange(4).view({1, 1, 2, 2});
  EXPECT_THROW(Concatenate(text, image), std::invalid_argument);
}

}  // namespace
}  // namespace attune::training
