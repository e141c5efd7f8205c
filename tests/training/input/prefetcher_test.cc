#include "server/training/input/prefetcher.h"

#include <atomic>
#include <stdexcept>

#include <gtest/gtest.h>

namespace attune::training {
namespace {

Batch Numbered(int64_t i) {
  Batch batch;
  batch.rows = i;
  return batch;
}

TEST(Prefetcher, DeliversInOrderFromManyThreads) {
  for (int threads : {1, 4}) {
    Prefetcher loader(Numbered, 5, 500, {.depth = 3, .threads = threads});
    for (int64_t i = 5; i < 500; ++i) {
      std::optional<Batch> batch = loader.Next();
      ASSERT_TRUE(batch.has_value());
      ASSERT_EQ(batch->rows, i);
    }
    EXPECT_FALSE(loader.Next().has_value());
    EXPECT_FALSE(loader.Next().has_value());
  }
}

TEST(Prefetcher, HoldsNoMoreThanDepth) {
  std::atomic<int64_t> made{0};
  std::atomic<int64_t> given{0};
  std::atomic<int64_t> most_ahead{0};
  Prefetcher loader(
      [&](int64_t i) {
        const int64_t ahead = ++made - given;
        if (ahead > most_ahead) most_ahead = ahead;
        return Numbered(i);
      },
      0, 200, {.depth = 3, .threads = 2});
  while (true) {
    ++given;  // before the place becomes free
    if (!loader.Next()) break;
  }
  EXPECT_EQ(made, 200);
  EXPECT_LE(most_ahead, 3);
}

TEST(Prefetcher, RethrowsAtTheBatchsTurn) {
  Prefetcher loader(
      [](int64_t i) {
        if (i == 2) throw std::invalid_argument("row 7 is bad");
        return Numbered(i);
      },
      0, 4, {.depth = 4, .threads = 2});
  EXPECT_TRUE(loader.Next().has_value());
  EXPECT_TRUE(loader.Next().has_value());
  EXPECT_THROW(loader.Next(), std::invalid_argument);
  EXPECT_EQ(loader.Next()->rows, 3);
}

TEST(Prefetcher, StopsWhileBatchesWait) {
  for (int i = 0; i < 20; ++i) {
    Prefetcher loader(Numbered, 0, 1000000, {.depth = 2, .threads = 2});
    if (i % 2) loader.Next();
  }
}

}  // namespace
}  // namespace attune::training
