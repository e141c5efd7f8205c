#include "server/training/input/feature_store.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FeatureStoreTest : public ::testing::Test {
 protected:
  FeatureStore Store(int64_t max_bytes = 1 << 20) { return FeatureStore(Files::Posix(), directory(), max_bytes); }
  std::string directory() const { return root_.path() + "/features"; }
  std::vector<std::string> names() const { return *ListDirectory(directory()); }

  // A table whose row i is {first + i, first + i, ...}.
  static std::shared_ptr<const FeatureTable> Write(FeatureStore& store, const std::string& key, int64_t rows, int64_t width, float first = 0) {
    auto writer = store.Create(key, rows, {width});
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (int64_t i = 0; i < rows; ++i) {
      const std::vector<float> row(static_cast<size_t>(width), first + static_cast<float>(i));
      EXPECT_TRUE((*writer)->Append(row.data(), 1).ok());
    }
    auto table = (*writer)->Finish();
    EXPECT_TRUE(table.ok()) << table.status();
    return *table;
  }
  // As if it had last been used so many hours ago.
  void SetAge(const std::string& name, int hours) {
    std::filesystem::last_write_time(directory() + "/" + name, std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  }

  TemporaryDirectory root_;
};

TEST_F(FeatureStoreTest, GivesBackWhatWasWritten) {
  FeatureStore store = Store();
  EXPECT_EQ(store.Find("key"), nullptr);
  Write(store, "key", 3, 4, 0.5f);
  FeatureStore other = Store();  // another process would see the same
  const auto table = other.Find("key");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->rows(), 3);
  EXPECT_THAT(table->shape(), ElementsAre(4));
  EXPECT_EQ(table->row(2)[3], 2.5f);
  EXPECT_EQ(other.Find("another key"), nullptr);
}

TEST_F(FeatureStoreTest, ATableIsWholeOrAbsent) {
  FeatureStore store = Store();
  {
    auto writer = store.Create("key", 2, {2});
    ASSERT_TRUE(writer.ok());
    const float row[2] = {1, 2};
    ASSERT_TRUE((*writer)->Append(row, 1).ok());
    EXPECT_EQ((*writer)->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_EQ(store.Find("key"), nullptr);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(FeatureStoreTest, MoreRowsThanPromisedAreRefused) {
  FeatureStore store = Store();
  auto writer = store.Create("key", 1, {1});
  const float values[2] = {1, 2};
  EXPECT_EQ((*writer)->Append(values, 2).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(FeatureStoreTest, ADamagedTableIsRemoved) {
  FeatureStore store = Store();
  Write(store, "key", 3, 4);
  const std::string path = directory() + "/" + names()[0];
  std::string bytes = *ReadFile(path);
  bytes[5] ^= 1;  // in the values
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, bytes).ok());
  EXPECT_EQ(FeatureTable::Open(path).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store.Find("key"), nullptr);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(FeatureStoreTest, FilesThatAreNoTablesAreDataLoss) {
  for (const std::string& content : {std::string(), std::string("short"), std::string(100, 'x'), std::string(92, 'x') + "ATTNFEA1"}) {
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), root_.path() + "/x", content).ok());
    EXPECT_EQ(FeatureTable::Open(root_.path() + "/x").status().code(), absl::StatusCode::kDataLoss) << content.size();
  }
}

TEST_F(FeatureStoreTest, EvictsWhatWasUsedLongestAgo) {
  FeatureStore store = Store(/*max_bytes=*/20000);
  Write(store, "a", 10, 150);  // 6 kB each
  const std::string a = names()[0];
  Write(store, "b", 10, 150);
  for (const std::string& name : names()) SetAge(name, name == a ? 5 : 3);
  const auto kept = store.Find("a");  // now b is the older one
  ASSERT_NE(kept, nullptr);
  Write(store, "c", 10, 200);
  EXPECT_NE(store.Find("a"), nullptr);
  EXPECT_EQ(store.Find("b"), nullptr);
  EXPECT_NE(store.Find("c"), nullptr);
}

TEST_F(FeatureStoreTest, AnEvictedTableStaysUsable) {
  FeatureStore store = Store(/*max_bytes=*/10000);
  const auto table = Write(store, "a", 10, 150, 1);
  Write(store, "b", 10, 150);
  EXPECT_EQ(store.Find("a"), nullptr);
  EXPECT_EQ(table->row(9)[149], 10);
}

TEST_F(FeatureStoreTest, WhatIsLargerThanTheStoreIsNotBegun) {
  FeatureStore store = Store(/*max_bytes=*/10000);
  Write(store, "a", 10, 150);
  auto writer = store.Create("b", 1000, {1000});
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(*writer, nullptr);
  EXPECT_NE(store.Find("a"), nullptr);  // nothing was evicted for it
}

TEST_F(FeatureStoreTest, RubbishOfDeadProcessesIsRemovedAndThatOfLivingOnesKept) {
  FeatureStore store = Store();
  Write(store, "a", 1, 1);
  const std::string dead = "x.features.999999999.tmp";
  const std::string living = "y.features." + std::to_string(getpid()) + ".tmp";
  for (const std::string& name : {dead, living}) {
    auto file = Files::Posix().Create(directory() + "/" + name);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append("unfinished").ok());
  }
  Write(store, "b", 1, 1);
  EXPECT_THAT(names(), ::testing::Not(::testing::Contains(dead)));
  EXPECT_THAT(names(), ::testing::Contains(living));
}

}  // namespace
}  // namespace attune::training
