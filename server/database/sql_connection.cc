#include "server/database/sql_connection.h"

#include <sqlite3.h>

#include <cerrno>
#include <type_traits>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

constexpr size_t kMaxCachedStatements = 128;
constexpr int kBusyTimeoutMilliseconds = 10'000;  // a backup tool or a shell may hold the file for a moment

absl::StatusCode CodeFor(int extended_code, int system_errno) {
  switch (extended_code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
      return absl::StatusCode::kFailedPrecondition;
    default:
      break;
  }
  switch (extended_code & 0xff) {
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EDQUOT ? absl::StatusCode::kResourceExhausted
                                                              : absl::StatusCode::kInternal;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    default:
      return absl::StatusCode::kInternal;
  }
}

// Arguments are bound without a copy: they outlive the statement's run.
int BindValue(sqlite3_stmt* statement, int position, const SqlValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return sqlite3_bind_int64(statement, position, *integer);
  if (const auto* real = std::get_if<double>(&value)) return sqlite3_bind_double(statement, position, *real);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, position, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<Blob>(&value)) {
    // A null pointer would bind NULL instead of an empty blob.
    const char* data = blob->bytes.empty() ? "" : blob->bytes.data();
    return sqlite3_bind_blob64(statement, position, data, blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(statement, position);
}

SqlValue ReadColumn(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement, column)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
      size_t size = static_cast<size_t>(sqlite3_column_bytes(statement, column));
      return Blob{size == 0 ? std::string() : std::string(bytes, size)};
    }
    default:
      return nullptr;
  }
}

bool IsBlank(const char* text, const char* end) {
  for (; text < end; ++text) {
    if (*text != ' ' && *text != '\n' && *text != '\t' && *text != '\r' && *text != ';') return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqlConnection>> SqlConnection::Open(const std::string& path) {
  sqlite3* handle = nullptr;
  // NOMUTEX: Database lets one thread at a time in.
  int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (handle == nullptr) return absl::InternalError(StrCat("open database ", path, ": out of memory"));
  std::unique_ptr<SqlConnection> connection(new SqlConnection(handle));
  sqlite3_extended_result_codes(handle, 1);
  if (code != SQLITE_OK) return connection->Error(StrCat("open database ", path));
  sqlite3_busy_timeout(handle, kBusyTimeoutMilliseconds);

  std::vector<SqlRow> mode;
  absl::Status status = connection->Run("PRAGMA journal_mode = WAL", {}, &mode).status();
  if (!status.ok()) return absl::Status(status.code(), StrCat("open database ", path, ": ", status.message()));
  if (mode.size() != 1 || mode[0].Text(0) != "wal") {
    return absl::InternalError(StrCat("open database ", path,
                                      ": this file system cannot share memory between processes, which WAL mode needs; "
                                      "put the data directory on a local disk"));
  }
  ATTUNE_RETURN_IF_ERROR(
      connection->RunScript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA "
                            "journal_size_limit = 67108864;"));
  return connection;
}

SqlConnection::~SqlConnection() {
  for (auto& [sql, statement] : cache_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

bool SqlConnection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

absl::Status SqlConnection::Error(std::string_view action) const {
  absl::StatusCode code = CodeFor(sqlite3_extended_errcode(handle_), sqlite3_system_errno(handle_));
  return absl::Status(code, StrCat(action, ": ", sqlite3_errmsg(handle_)));
}

absl::Status SqlConnection::RunScript(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return Error(StrCat("run \"", sql, "\""));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SqlConnection::Run(std::string_view sql, const std::vector<SqlValue>& args,
                                           std::vector<SqlRow>* rows) {
  ATTUNE_ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
  absl::Status bound = Bind(statement, sql, args);
  absl::StatusOr<int64_t> changed = bound.ok() ? Step(statement, sql, rows) : absl::StatusOr<int64_t>(bound);
  // Whatever happened, the cached statement must hold neither a lock nor pointers to the arguments.
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return changed;
}

absl::StatusOr<sqlite3_stmt*> SqlConnection::Prepare(std::string_view sql) {
  if (auto found = cached_.find(sql); found != cached_.end()) {
    cache_.splice(cache_.begin(), cache_, found->second);
    return found->second->second;
  }
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                &statement, &tail);
  if (code != SQLITE_OK) return Error(StrCat("prepare \"", sql, "\""));
  if (statement == nullptr || !IsBlank(tail, sql.data() + sql.size())) {
    sqlite3_finalize(statement);
    return absl::InternalError(StrCat("prepare \"", sql, "\": exactly one statement is expected"));
  }
  if (cache_.size() == kMaxCachedStatements) {
    cached_.erase(cache_.back().first);
    sqlite3_finalize(cache_.back().second);
    cache_.pop_back();
  }
  cache_.emplace_front(sql, statement);
  cached_[cache_.front().first] = cache_.begin();
  return statement;
}

absl::Status SqlConnection::Bind(sqlite3_stmt* statement, std::string_view sql, const std::vector<SqlValue>& args) {
  if (static_cast<size_t>(sqlite3_bind_parameter_count(statement)) != args.size()) {
    return absl::InternalError(StrCat("run \"", sql, "\": it takes ", sqlite3_bind_parameter_count(statement),
                                      " arguments and got ", args.size()));
  }
  for (size_t i = 0; i < args.size(); ++i) {
    if (BindValue(statement, static_cast<int>(i) + 1, args[i]) != SQLITE_OK) return Error(StrCat("bind \"", sql, "\""));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SqlConnection::Step(sqlite3_stmt* statement, std::string_view sql, std::vector<SqlRow>* rows) {
  const int64_t total_before = sqlite3_total_changes64(handle_);
  for (;;) {
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) return Error(StrCat("run \"", sql, "\""));
    if (rows == nullptr) continue;
    int columns = sqlite3_column_count(statement);
    std::vector<SqlValue> values;
    values.reserve(static_cast<size_t>(columns));
    for (int column = 0; column < columns; ++column) values.push_back(ReadColumn(statement, column));
    rows->emplace_back(std::move(values));
  }
  // sqlite3_changes alone would repeat the count of an earlier statement after one that changes nothing.
  return sqlite3_total_changes64(handle_) == total_before ? 0 : int64_t{sqlite3_changes64(handle_)};
}

}  // namespace attune
