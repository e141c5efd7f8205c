// Each operation on the disk fails in turn: whatever was acknowledged is there afterwards, and nothing is there by half.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "server/base/files.h"
#include "server/database/database.h"
#include "tests/server/database/faulty_vfs.h"

namespace attune {
namespace {

constexpr int kTransactions = 8;

struct KindCase {
  std::string name;
  FaultyVfs::Kind kind;
};

class DiskFaults : public ::testing::TestWithParam<KindCase> {
 protected:
  static absl::Status Prepare(Database& database) { return database.Migrate("pairs", {"CREATE TABLE pairs(id INTEGER, half INTEGER, bytes BLOB, PRIMARY KEY(id, half))"}); }

  // Two rows of several pages each, together.
  static absl::Status WritePair(Database& database, int64_t id) {
    Transaction transaction = database.Begin();
    for (int64_t half : {0, 1}) {
      const auto inserted = transaction.Execute("INSERT OR REPLACE INTO pairs VALUES(?, ?, ?)", {id, half, Blob{std::string(9000, static_cast<char>('a' + id))}});
      if (!inserted.ok()) return inserted.status();
    }
    return transaction.Commit();
  }

  // What a server would do until its disk fails; acknowledged ids are added to `told`. Goes on after errors, as a server does.
  void Run(std::vector<int64_t>& told, bool& opened) {
    auto database = Database::Open(path_);
    opened = database.ok() && Prepare(**database).ok();
    if (!opened) return;
    for (int64_t id = 0; id < kTransactions; ++id) {
      if (WritePair(**database, id).ok()) told.push_back(id);
      if (id == kTransactions / 2) (void)(*database)->Query("PRAGMA wal_checkpoint(TRUNCATE)");  // pages move into the file
    }
  }

  void CheckAfterwards(const std::vector<int64_t>& told, int64_t n) {
    auto database = Database::Open(path_);
    ASSERT_TRUE(database.ok()) << n << ": " << database.status();
    ASSERT_TRUE(Prepare(**database).ok()) << n;
    auto checked = (*database)->Query("PRAGMA integrity_check");
    ASSERT_TRUE(checked.ok() && checked->size() == 1) << n;
    EXPECT_EQ(checked->at(0).Text(0), "ok") << n;
    auto rows = (*database)->Query("SELECT id, count(*), min(length(bytes)), min(substr(bytes, 1, 1)) FROM pairs GROUP BY id");
    ASSERT_TRUE(rows.ok()) << n << ": " << rows.status();
    std::vector<int64_t> there;
    for (const SqlRow& row : *rows) {
      EXPECT_EQ(row.Int(1), 2) << "half of pair " << row.Int(0) << " after fault " << n;
      EXPECT_EQ(row.Int(2), 9000);
      EXPECT_EQ(row.Bytes(3), std::string(1, static_cast<char>('a' + row.Int(0))));
      there.push_back(row.Int(0));
    }
    for (const int64_t id : told) EXPECT_THAT(there, ::testing::Contains(id)) << "acknowledged, and lost by fault " << n;
    EXPECT_TRUE(WritePair(**database, kTransactions).ok()) << "the store is of use again";
  }

  TemporaryDirectory directory_;
  std::string path_;
};

TEST_P(DiskFaults, NothingIsLostAndNothingIsHalf) {
  FaultyVfs vfs;
  int64_t n = 0;
  for (bool fired = true; fired;) {
    ++n;
    ASSERT_LT(n, 2000) << "the faults have no end";
    path_ = directory_.path() + "/" + std::to_string(n) + ".db";
    std::vector<int64_t> told;
    bool opened = false;
    vfs.FailAt(n, GetParam().kind);
    Run(told, opened);
    fired = vfs.fired();
    vfs.Heal();
    if (!fired) {
      EXPECT_EQ(told.size(), static_cast<size_t>(kTransactions)) << "without a fault all is well";
    }
    CheckAfterwards(told, n);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(n, GetParam().kind == FaultyVfs::Kind::kTruncate ? 1 : 3) << "too few operations were made to fail";
}

INSTANTIATE_TEST_SUITE_P(Kinds, DiskFaults,
                         ::testing::Values(KindCase{"Full", FaultyVfs::Kind::kFull}, KindCase{"Write", FaultyVfs::Kind::kWrite}, KindCase{"ShortWrite", FaultyVfs::Kind::kShortWrite},
                                           KindCase{"Sync", FaultyVfs::Kind::kSync}, KindCase{"Read", FaultyVfs::Kind::kRead}, KindCase{"Open", FaultyVfs::Kind::kOpen},
                                           KindCase{"Truncate", FaultyVfs::Kind::kTruncate}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace attune
