#include "server/database/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "server/base/files.h"

namespace attune {
namespace {

using ::testing::HasSubstr;

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    database_.reset();
    auto database = Database::Open(Path());
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = std::move(*database);
    ASSERT_TRUE(
        database_->Migrate("test", {"CREATE TABLE t(id TEXT PRIMARY KEY, n INTEGER); CREATE INDEX t_n ON t(n)"}).ok());
  }
  std::string Path() const { return directory_.path() + "/attune.db"; }
  int64_t Count() {
    auto rows = database_->Query("SELECT COUNT(*) FROM t");
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? rows->at(0).Int(0) : -1;
  }
  absl::Status Insert(const std::string& id, int64_t n) {
    return database_->Execute("INSERT INTO t VALUES(?, ?)", {id, n}).status();
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, ValuesOfEveryTypeComeBack) {
  ASSERT_TRUE(database_->Migrate("types", {"CREATE TABLE v(a, b, c, d, e, f)"}).ok());
  std::string text("a\0b", 3);
  ASSERT_TRUE(database_
                  ->Execute("INSERT INTO v VALUES(?, ?, ?, ?, ?, ?)",
                            {nullptr, int64_t{-1} << 62, 0.1, text, Blob{std::string("\0\xff", 2)}, Blob{}})
                  .ok());
  auto rows = database_->Query("SELECT a, b, c, d, e, f FROM v");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 1u);
  const SqlRow& row = rows->at(0);
  EXPECT_TRUE(row.IsNull(0));
  EXPECT_EQ(row.Int(1), int64_t{-1} << 62);
  EXPECT_EQ(row.Double(2), 0.1);
  EXPECT_EQ(row.Text(3), text);
  EXPECT_EQ(row.Bytes(4), std::string("\0\xff", 2));
  EXPECT_FALSE(row.IsNull(5));
  EXPECT_EQ(row.Bytes(5), "");
  // Another type, or no such column.
  EXPECT_EQ(row.Int(3), 0);
  EXPECT_EQ(row.Double(1), 0);
  EXPECT_EQ(row.Text(4), "");
  EXPECT_EQ(row.Bytes(3), "");
  EXPECT_EQ(row.Int(6), 0);
  EXPECT_EQ(row.Text(-1), "");
  EXPECT_FALSE(row.IsNull(6));
}

TEST_F(DatabaseTest, ExecuteReturnsRowsChanged) {
  ASSERT_TRUE(Insert("a", 1).ok());
  ASSERT_TRUE(Insert("b", 1).ok());
  EXPECT_EQ(*database_->Execute("UPDATE t SET n = 2 WHERE n = ?", {int64_t{1}}), 2);
  EXPECT_EQ(*database_->Execute("UPDATE t SET n = 3 WHERE n = ?", {int64_t{1}}), 0);
  EXPECT_EQ(*database_->Execute("CREATE TABLE other(x)"), 0);
  EXPECT_EQ(*database_->Execute("DELETE FROM t"), 2);
}

TEST_F(DatabaseTest, UncommittedTransactionsLeaveNothing) {
  {
    Transaction transaction = database_->Begin();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES('a', 1)").ok());
    EXPECT_EQ(transaction.Query("SELECT * FROM t")->size(), 1u) << "sees its own writes";
    EXPECT_EQ(Count(), 0) << "readers do not see them, and do not wait";
  }
  EXPECT_EQ(Count(), 0);
  {
    Transaction transaction = database_->Begin();
    ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES('a', 1)").ok());
    Transaction moved = std::move(transaction);
    ASSERT_TRUE(moved.Commit().ok());
    EXPECT_EQ(moved.Commit().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(moved.Execute("DELETE FROM t").status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_EQ(Count(), 1);
}

TEST_F(DatabaseTest, CommittedRowsSurviveReopening) {
  ASSERT_TRUE(Insert("a", 7).ok());
  Open();
  EXPECT_EQ(database_->Query("SELECT n FROM t WHERE id = ?", {std::string("a")})->at(0).Int(0), 7);
}

TEST_F(DatabaseTest, ConstraintErrorsHaveTheirCodesAndTheTransactionGoesOn) {
  ASSERT_TRUE(
      database_->Migrate("child", {"CREATE TABLE c(t_id TEXT REFERENCES t(id), u INTEGER UNIQUE NOT NULL)"}).ok());
  ASSERT_TRUE(Insert("a", 1).ok());
  EXPECT_EQ(Insert("a", 2).code(), absl::StatusCode::kAlreadyExists);
  Transaction transaction = database_->Begin();
  ASSERT_TRUE(transaction.Execute("INSERT INTO c VALUES('a', 1)").ok());
  EXPECT_EQ(transaction.Execute("INSERT INTO c VALUES('a', 1)").status().code(), absl::StatusCode::kAlreadyExists);
  absl::Status foreign = transaction.Execute("INSERT INTO c VALUES('nobody', 2)").status();
  EXPECT_EQ(foreign.code(), absl::StatusCode::kFailedPrecondition) << foreign;
  EXPECT_EQ(transaction.Execute("INSERT INTO c VALUES('a', NULL)").status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(transaction.Commit().ok());
  EXPECT_EQ(database_->Query("SELECT * FROM c")->size(), 1u);
}

TEST_F(DatabaseTest, FullDiskIsResourceExhaustedAndNothingOfTheTransactionStays) {
  ASSERT_TRUE(Insert("before", 1).ok());
  {
    Transaction transaction = database_->Begin();
    // SQLite's own page limit answers as a full disk does.
    ASSERT_TRUE(transaction.Query("PRAGMA max_page_count = 1").ok());
    absl::Status status;
    for (int i = 0; i < 100 && status.ok(); ++i) {
      status = transaction.Execute("INSERT INTO t VALUES(?, 1)", {std::to_string(i) + std::string(3000, 'x')}).status();
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  EXPECT_EQ(Count(), 1);
  ASSERT_TRUE(database_->Execute("PRAGMA max_page_count = 1000000").ok());
  EXPECT_TRUE(Insert("after", 1).ok()) << "goes on once there is room";
}

TEST_F(DatabaseTest, AfterSqliteRolledBackNothingRunsOnItsOwn) {
  Transaction transaction = database_->Begin();
  ASSERT_TRUE(transaction.Execute("INSERT INTO t VALUES('a', 1)").ok());
  ASSERT_TRUE(transaction.Execute("ROLLBACK").ok());  // stands for SQLite's own rollback after an I/O error
  EXPECT_EQ(transaction.Execute("INSERT INTO t VALUES('b', 1)").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(transaction.Query("SELECT 1").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(transaction.Commit().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Count(), 0);
}

TEST_F(DatabaseTest, MisuseIsToldApart) {
  EXPECT_THAT(std::string(Insert("a", 1).message()), "");
  absl::Status few = database_->Execute("INSERT INTO t VALUES(?, ?)", {std::string("b")}).status();
  EXPECT_EQ(few.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(few.message()), HasSubstr("takes 2 arguments and got 1"));
  absl::Status two = database_->Execute("DELETE FROM t; DELETE FROM t").status();
  EXPECT_THAT(std::string(two.message()), HasSubstr("exactly one statement"));
  EXPECT_FALSE(database_->Execute("").ok());
  EXPECT_TRUE(database_->Execute("UPDATE t SET n = 1; ").ok());
  absl::Status wrong = database_->Query("SELECT absent FROM t").status();
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("no such column: absent"));
  EXPECT_FALSE(database_->Query("DELETE FROM t").ok()) << "Query must not write";
  EXPECT_EQ(Count(), 1);
}

TEST_F(DatabaseTest, MigrationsRunOnceAndInOrder) {
  std::vector<std::string> migrations = {"CREATE TABLE m(a)"};
  ASSERT_TRUE(database_->Migrate("m", migrations).ok());
  ASSERT_TRUE(database_->Migrate("m", migrations).ok()) << "nothing to do";
  ASSERT_TRUE(database_->Execute("INSERT INTO m VALUES(1)").ok());
  migrations.push_back("ALTER TABLE m ADD COLUMN b DEFAULT 5");
  migrations.push_back("UPDATE m SET b = b + 1");
  Open();
  ASSERT_TRUE(database_->Migrate("m", migrations).ok());
  EXPECT_EQ(database_->Query("SELECT b FROM m")->at(0).Int(0), 6);
  absl::Status newer = database_->Migrate("m", {"CREATE TABLE m(a)"});
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(newer.message()), HasSubstr("newer server"));
}

TEST_F(DatabaseTest, BeforeATableChangesTheDatabaseIsCopied) {
  ASSERT_TRUE(database_->Migrate("jobs", {"CREATE TABLE jobs(id TEXT)"}).ok());
  ASSERT_TRUE(database_->Execute("INSERT INTO jobs VALUES('j1')").ok());
  const std::string copy = Path() + ".before-jobs-2";
  EXPECT_FALSE(FileExists(Path() + ".before-jobs-1")) << "there was nothing to lose";
  ASSERT_TRUE(database_->Migrate("jobs", {"CREATE TABLE jobs(id TEXT)", "DROP TABLE jobs"}).ok());
  auto before = Database::Open(copy);
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ((*before)->Query("SELECT id FROM jobs").value().at(0).Text(0), "j1");
  EXPECT_TRUE((*before)->Migrate("jobs", {"CREATE TABLE jobs(id TEXT)"}).ok()) << "the older server can go on with it";
}

TEST_F(DatabaseTest, ACopyIsOfTheLastCommit) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE v(x INTEGER)").ok());
  ASSERT_TRUE(database_->Execute("INSERT INTO v VALUES(1)").ok());
  auto open = database_->Begin();
  ASSERT_TRUE(open.Execute("INSERT INTO v VALUES(2)").ok());
  ASSERT_TRUE(database_->CopyTo(Path() + ".copy").ok()) << "a writer does not hold it up";
  EXPECT_EQ(Database::Open(Path() + ".copy").value()->Query("SELECT x FROM v").value().size(), 1u);
  EXPECT_FALSE(database_->CopyTo(Path() + ".copy").ok()) << "nothing is overwritten";
}

TEST_F(DatabaseTest, DamageIsFound) {
  ASSERT_TRUE(database_->Execute("CREATE TABLE w(x TEXT)").ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(database_->Execute("INSERT INTO w VALUES(?)", {std::string(500, 'x')}).ok());
  EXPECT_TRUE(database_->CheckIntegrity().ok());
  ASSERT_TRUE(database_->CopyTo(Path() + ".copy").ok());
  {
    std::fstream file(Path() + ".copy", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5 * 4096);
    file << std::string(4096, '\xff');
  }
  auto damaged = Database::Open(Path() + ".copy");
  if (damaged.ok()) EXPECT_EQ((*damaged)->CheckIntegrity().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DatabaseTest, FailedMigrationLeavesTheOldVersion) {
  absl::Status status = database_->Migrate("m", {"CREATE TABLE m(a)", "CREATE TABLE m2(a); THIS IS NOT SQL"});
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("migration 2 of m"));
  EXPECT_FALSE(database_->Query("SELECT * FROM m").ok());
  EXPECT_TRUE(database_->Migrate("m", {"CREATE TABLE m(a)"}).ok());
}

TEST_F(DatabaseTest, ReadersFollowSchemaChanges) {
  EXPECT_EQ(Count(), 0);
  ASSERT_TRUE(database_->Execute("ALTER TABLE t ADD COLUMN extra TEXT DEFAULT 'x'").ok());
  ASSERT_TRUE(Insert("a", 1).code() == absl::StatusCode::kInternal) << "the cached statement is compiled anew";
  ASSERT_TRUE(database_->Execute("INSERT INTO t(id) VALUES('a')").ok());
  EXPECT_EQ(database_->Query("SELECT * FROM t")->at(0).Text(2), "x");
}

TEST_F(DatabaseTest, MoreStatementsThanTheCacheHolds) {
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 300; ++i) {
      auto rows = database_->Query("SELECT " + std::to_string(i));
      ASSERT_TRUE(rows.ok());
      EXPECT_EQ(rows->at(0).Int(0), i);
    }
  }
}

TEST_F(DatabaseTest, WritersAndReadersOnManyThreads) {
  ASSERT_TRUE(Insert("counter", 0).ok());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        Transaction transaction = database_->Begin();
        auto rows = transaction.Query("SELECT n FROM t WHERE id = 'counter'");
        bool ok = rows.ok() &&
                  transaction.Execute("UPDATE t SET n = ? WHERE id = 'counter'", {rows->at(0).Int(0) + 1}).ok() &&
                  transaction.Commit().ok();
        failures += ok ? 0 : 1;
      }
    });
    threads.emplace_back([&] {
      int64_t last = 0;
      for (int i = 0; i < 100; ++i) {
        auto rows = database_->Query("SELECT n FROM t WHERE id = 'counter'");
        bool ok = rows.ok() && rows->at(0).Int(0) >= last;
        if (ok) last = rows->at(0).Int(0);
        failures += ok ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(database_->Query("SELECT n FROM t WHERE id = 'counter'")->at(0).Int(0), 100);
}

TEST(DatabaseOpenTest, SaysWhatIsWrong) {
  TemporaryDirectory directory;
  absl::Status missing = Database::Open(directory.path() + "/no/such/dir/attune.db").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no/such/dir"));
  std::string path = directory.path() + "/text.db";
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, std::string(8192, 'x')).ok());
  absl::Status damaged = Database::Open(path).status();
  EXPECT_EQ(damaged.code(), absl::StatusCode::kDataLoss) << damaged;
}

}  // namespace
}  // namespace attune
