// SqlConnection: one sqlite3 handle and its cache of prepared statements. Owned by Database, which also guards it: not
// thread-safe. Errors as in database.h.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto connection, SqlConnection::Open(path));
//   ATTUNE_RETURN_IF_ERROR(connection->Run("PRAGMA query_only = ON", {}, nullptr).status());
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/database/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace attune {

class SqlConnection {
 public:
  // Opens or creates the file, in WAL mode with synchronous=FULL, foreign keys on and a busy timeout.
  static absl::StatusOr<std::unique_ptr<SqlConnection>> Open(const std::string& path);
  ~SqlConnection();
  SqlConnection(const SqlConnection&) = delete;
  SqlConnection& operator=(const SqlConnection&) = delete;

  // Runs one statement, adds its rows to `rows` unless null, and returns how many rows it changed.
  absl::StatusOr<int64_t> Run(std::string_view sql, const std::vector<SqlValue>& args, std::vector<SqlRow>* rows);
  // Runs any number of statements without arguments.
  absl::Status RunScript(const std::string& sql);
  // Whether BEGIN ran and neither COMMIT, ROLLBACK nor SQLite's own rollback ended it.
  bool in_transaction() const;

 private:
  // The most recently used statement is at the front.
  using Cache = std::list<std::pair<std::string, sqlite3_stmt*>>;

  explicit SqlConnection(sqlite3* handle) : handle_(handle) {}
  absl::StatusOr<sqlite3_stmt*> Prepare(std::string_view sql);
  absl::Status Bind(sqlite3_stmt* statement, std::string_view sql, const std::vector<SqlValue>& args);
  absl::StatusOr<int64_t> Step(sqlite3_stmt* statement, std::string_view sql, std::vector<SqlRow>* rows);
  absl::Status Error(std::string_view action) const;

  sqlite3* const handle_;
  Cache cache_;
  std::unordered_map<std::string_view, Cache::iterator> cached_;  // keys are the cache's own strings
};

}  // namespace attune
