#include "server/training/input/batch_parts.h"

#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/input/replay_batches.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;

at::Tensor Numbers(int64_t first, int64_t count) { return at::arange(first, first + count, at::TensorOptions().dtype(at::kLong)); }

// Texts of these lengths, in ascending order; token ids count up from `first`.
Batch Texts(const std::vector<int64_t>& lengths, int64_t first = 0) {
  Batch batch;
  batch.rows = static_cast<int64_t>(lengths.size());
  batch.targets = Numbers(100 + first, batch.rows);
  std::vector<at::Tensor> first_tokens;
  for (const int64_t length : lengths) {
    batch.example_indices.push_back(first + batch.text.sequences);
    if (batch.text.runs.empty() || batch.text.runs.back().length != length) batch.text.runs.push_back({batch.text.sequences, batch.text.tokens, 0, length});
    ++batch.text.runs.back().count;
    first_tokens.push_back(Numbers(batch.text.tokens, 1));
    batch.text.truncated.push_back(length > 8);
    ++batch.text.sequences;
    batch.text.tokens += length;
  }
  batch.text.first_token = at::cat(first_tokens);
  batch.text.token_ids = batch.text.type_ids = batch.text.position_ids = Numbers(first, batch.text.tokens);
  return batch;
}

Batch Images(int64_t rows, int64_t first = 0) {
  Batch batch;
  batch.rows = rows;
  for (int64_t row = 0; row < rows; ++row) batch.example_indices.push_back(first + row);
  batch.pixels = Numbers(first, rows).to(at::kFloat).view({rows, 1, 1, 1}).expand({rows, 3, 2, 2});
  batch.targets = Numbers(first, rows);
  batch.mixed_targets = batch.targets + 1;
  batch.mix = 0.25;
  return batch;
}

TEST(BatchParts, PartsTogetherAreTheBatch) {
  const Batch batch = Texts({2, 2, 3, 3, 3, 9, 10});
  for (int parts = 1; parts <= 7; ++parts) {
    std::vector<at::Tensor> tokens, targets;
    std::vector<int64_t> rows;
    for (int i = 0; i < parts; ++i) {
      const Batch part = PartOf(batch, i, parts);
      ASSERT_GE(part.rows, 1) << i << " of " << parts;
      ASSERT_EQ(part.text.sequences, part.rows);
      ASSERT_EQ(part.text.token_ids.size(0), part.text.tokens);
      ASSERT_EQ(static_cast<int64_t>(part.text.truncated.size()), part.rows);
      int64_t sequences = 0, tokens_so_far = 0;
      for (const LengthRun& run : part.text.runs) {
        EXPECT_EQ(run.first_sequence, sequences);
        EXPECT_EQ(run.first_token, tokens_so_far);
        sequences += run.count;
        tokens_so_far += run.count * run.length;
      }
      EXPECT_EQ(sequences, part.rows);
      EXPECT_EQ(tokens_so_far, part.text.tokens);
      EXPECT_EQ(part.text.first_token[0].item<int64_t>(), 0);
      tokens.push_back(part.text.token_ids);
      targets.push_back(part.targets);
      rows.insert(rows.end(), part.example_indices.begin(), part.example_indices.end());
    }
    EXPECT_TRUE(at::equal(at::cat(tokens), batch.text.token_ids)) << parts;
    EXPECT_TRUE(at::equal(at::cat(targets), batch.targets)) << parts;
    EXPECT_EQ(rows, batch.example_indices) << parts;
  }
}

TEST(BatchParts, TextsAreDividedByTokens) {
  const Batch batch = Texts({1, 1, 1, 1, 1, 1, 6});
  EXPECT_THAT(PartOf(batch, 0, 2).example_indices, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(PartOf(batch, 1, 2).example_indices, ElementsAre(6));
  EXPECT_EQ(PartOf(batch, 1, 2).text.runs.size(), 1u);
}

TEST(BatchParts, OfImages) {
  const Batch part = PartOf(Images(5), 1, 2);
  EXPECT_THAT(part.example_indices, ElementsAre(3, 4));
  EXPECT_EQ(part.pixels[0][0][0][0].item<float>(), 3);
  EXPECT_EQ(part.mixed_targets[0].item<int64_t>(), 4);
  EXPECT_EQ(part.mix, 0.25);
}

TEST(BatchParts, RowsOfASecondDatasetAreDividedToo) {
  const Batch batch = Concatenate(Images(4), Images(3, 10));
  EXPECT_EQ(OwnRows(batch), 4);
  int64_t own = 0, second = 0;
  for (int i = 0; i < 4; ++i) {
    const Batch part = PartOf(batch, i, 4);
    EXPECT_GE(OwnRows(part), 1);
    own += OwnRows(part);
    if (part.replay == nullptr) continue;
    second += part.replay->rows;
    EXPECT_EQ(part.replay->targets[0].item<int64_t>(), part.example_indices[static_cast<size_t>(OwnRows(part))]) << "labels go with their rows";
    EXPECT_EQ(part.pixels.size(0), part.rows);
  }
  EXPECT_EQ(own, 4);
  EXPECT_EQ(second, 3);
  const Batch texts = Concatenate(Texts({2, 3}), Texts({2, 2, 5}, 50));
  const Batch last = PartOf(texts, 1, 2);
  EXPECT_THAT(last.example_indices, ElementsAre(1, 52)) << "each dataset by its own tokens";
  EXPECT_EQ(last.text.token_ids[0].item<int64_t>(), 2);
  EXPECT_EQ(last.text.first_token[1].item<int64_t>(), 3);
}

TEST(BatchParts, NoPartIsEmpty) {
  EXPECT_THROW(PartOf(Images(3), 0, 4), std::logic_error);
  EXPECT_THROW(PartOf(Images(3), 2, 2), std::logic_error);
  EXPECT_THROW(PartOf(Images(3), 0, 0), std::logic_error);
}

}  // namespace
}  // namespace attune::training
