// A thin, safe face of SQLite: one file, WAL, synchronous=FULL, foreign keys on. Stores in other folders own their tables and declare
// their migrations; this folder knows none of them.
//
// Thread safety: Database is thread-safe; a Transaction holds the write lock for its life (keep it short). Errors: RESOURCE_EXHAUSTED when the
// disk is full, ALREADY_EXISTS on a uniqueness conflict, FAILED_PRECONDITION on a foreign key conflict, INTERNAL otherwise, with SQLite's text.
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
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/synchronization/mutex.h"

struct sqlite3;

namespace attune {

// Bytes are bound as BLOB, std::string as TEXT.
struct Blob {
  std::string bytes;
};
using SqlValue = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

// One row; typed access by column position. A column of another type reads as 0 or "".
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

class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  ~Transaction();
  // Rows changed.
  absl::StatusOr<int64_t> Execute(std::string_view sql, const std::vector<SqlValue>& args = {});
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view sql, const std::vector<SqlValue>& args = {});
  absl::Status Commit();

 private:
  friend class Database;
  explicit Transaction(Database* database);
  Database* database_;
};

class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();

  // Brings the named component's tables to version migrations.size(): runs those not yet run, in order, in one transaction. A database that is
  // newer than the list is FAILED_PRECONDITION ("made by a newer server").
  absl::Status Migrate(std::string_view component, const std::vector<std::string>& migrations);

  // Waits for the write lock (BEGIN IMMEDIATE).
  Transaction Begin();

  // A read outside of transactions, from a second connection: sees the last committed state and never waits for writers.
  absl::StatusOr<std::vector<SqlRow>> Query(std::string_view sql, const std::vector<SqlValue>& args = {});

  // One statement in a transaction of its own.
  absl::StatusOr<int64_t> Execute(std::string_view sql, const std::vector<SqlValue>& args = {});

 private:
  friend class Transaction;
  struct Connection;
  Database();
  absl::Mutex write_mutex_;
  absl::Mutex read_mutex_;
  std::unique_ptr<Connection> writer_;
  std::unique_ptr<Connection> reader_;
};

}  // namespace attune
