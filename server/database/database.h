// A thin, safe face of SQLite: one file, WAL, synchronous=FULL, foreign keys on. Stores in other folders own their
// tables and declare their migrations; this folder knows none of them.
//
// Thread safety: Database is thread-safe; a Transaction holds the write lock for its life (keep it short), ends on the
// thread that began it, and must not be open when that thread calls Execute, Begin or Migrate of the Database (it would
// wait for itself). Errors: RESOURCE_EXHAUSTED when the disk is full, ALREADY_EXISTS on a uniqueness conflict,
// FAILED_PRECONDITION on a foreign key conflict, DATA_LOSS when the file is damaged or no database, INTERNAL otherwise,
// with SQLite's text.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto db, Database::Open(path));
//   ATTUNE_RETURN_IF_ERROR(db->Migrate("jobs", {"CREATE TABLE jobs(...)", "ALTER TABLE jobs ADD COLUMN ..."}));
//   auto tx = db->Begin();
//   ATTUNE_RETURN_IF_ERROR(tx.Execute("INSERT INTO jobs VALUES(?, ?)", {id, bytes}));
//   ATTUNE_RETURN_IF_ERROR(tx.Commit());                        // without it the destructor rolls back
//   ATTUNE_ASSIGN_OR_RETURN(auto rows, db->Query("SELECT id FROM jobs WHERE state = ?", {int64_t{1}}));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace attune {

// Bytes are bound as BLOB, std::string as TEXT.
struct Blob {
  std::string bytes;
};
using SqlValue = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

// One row; typed access by column position, from 0. A column of another type, or one that is not there, reads as 0 or
// "".
class SqlRow {
 public:
  explicit SqlRow(std::vector<SqlValue> values) : values_(std::move(values)) {}
  int64_t Int(int column) const;
  double Double(int column) const;
  const std::string& Text(int column) const;   // TEXT
  const std::string& Bytes(int column) const;  // BLOB
  bool IsNull(int column) const;

 private:
  std::vector<SqlValue> values_;
};

class Database;
class SqlConnection;

// After an error of a constraint the transaction may go on without that statement. After any error that made SQLite
// roll back (disk full), and after Commit, every call is FAILED_PRECONDITION. That the transaction could not begin is
// told by the first call.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // Rows changed. One statement; arguments fill its ? in order.
  absl::StatusOr<int64_t> Execute(std::string_view sql, const std::vector<SqlValue>& args = {});
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view sql, const std::vector<SqlValue>& args = {});
  absl::Status Commit();

 private:
  friend class Database;
  Transaction(Database* database, absl::Status begun);
  absl::Status Check() const;
  Database* database_;  // null once committed or moved from
  absl::Status begun_;
};

class Database {
 public:
  // Creates the file when absent; its directory must exist.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Brings the named component's tables to version migrations.size(): runs those not yet run, in order, in one
  // transaction; before those of tables that exist, the database is copied to {path}.before-{component}-{version}.
  // Each may hold several statements. A database that is newer than the list is FAILED_PRECONDITION ("made
  // by a newer server"). Never change one that was released.
  absl::Status Migrate(std::string_view component, const std::vector<std::string>& migrations);

  // Waits for the write lock (BEGIN IMMEDIATE).
  Transaction Begin();

  // A read outside of transactions, from a second connection: sees the last committed state and never waits for
  // writers.
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view sql, const std::vector<SqlValue>& args = {});

  // A copy of the last committed state, complete when it returns, over a connection of its own: neither readers nor writers wait. The file must not
  // exist. Not synced.
  absl::Status CopyTo(const std::string& path) const;
  // DATA_LOSS with SQLite's words when the file is damaged. Reads all of it.
  absl::Status CheckIntegrity();

  // One statement in a transaction of its own.
  absl::StatusOr<int64_t> Execute(std::string_view sql, const std::vector<SqlValue>& args = {});

 private:
  friend class Transaction;
  Database(std::string path, std::unique_ptr<SqlConnection> writer, std::unique_ptr<SqlConnection> reader);
  absl::Status BackUpBefore(std::string_view component, int64_t wanted) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status MigrateLocked(std::string_view component, const std::vector<std::string>& migrations)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  const std::string path_;
  absl::Mutex write_mutex_;
  absl::Mutex read_mutex_;
  const std::unique_ptr<SqlConnection> writer_ ABSL_PT_GUARDED_BY(write_mutex_);
  const std::unique_ptr<SqlConnection> reader_ ABSL_PT_GUARDED_BY(read_mutex_);
};

}  // namespace attune
