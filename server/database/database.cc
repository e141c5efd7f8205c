#include "server/database/database.h"

#include <filesystem>

#include "server/base/fault_point.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/database/sql_connection.h"

namespace attune {
namespace {

template <typename T>
const T* Column(const std::vector<SqlValue>& values, int column) {
  if (column < 0 || static_cast<size_t>(column) >= values.size()) return nullptr;
  return std::get_if<T>(&values[static_cast<size_t>(column)]);
}

const std::string& Empty() {
  static const std::string* const empty = new std::string;
  return *empty;
}

}  // namespace

int64_t SqlRow::Int(int column) const {
  const auto* value = Column<int64_t>(values_, column);
  return value == nullptr ? 0 : *value;
}

double SqlRow::Double(int column) const {
  const auto* value = Column<double>(values_, column);
  return value == nullptr ? 0 : *value;
}

const std::string& SqlRow::Text(int column) const {
  const auto* value = Column<std::string>(values_, column);
  return value == nullptr ? Empty() : *value;
}

const std::string& SqlRow::Bytes(int column) const {
  const auto* value = Column<Blob>(values_, column);
  return value == nullptr ? Empty() : value->bytes;
}

bool SqlRow::IsNull(int column) const { return Column<std::nullptr_t>(values_, column) != nullptr; }

// The write lock is taken by Database::Begin.
Transaction::Transaction(Database* database, absl::Status begun) : database_(database), begun_(std::move(begun)) {}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)), begun_(std::move(other.begun_)) {}

Transaction::~Transaction() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (database_ == nullptr) return;
  if (database_->writer_->in_transaction()) database_->writer_->Run("ROLLBACK", {}, nullptr).IgnoreError();
  database_->write_mutex_.Unlock();
}

absl::Status Transaction::Check() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (database_ == nullptr) return absl::FailedPreconditionError("the transaction is already committed");
  ATTUNE_RETURN_IF_ERROR(begun_);
  if (!database_->writer_->in_transaction()) {
    // Without this check the statement would run, and commit, on its own.
    return absl::FailedPreconditionError("the transaction was rolled back after an earlier error");
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Transaction::Execute(std::string_view sql,
                                             const std::vector<SqlValue>& args) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ATTUNE_RETURN_IF_ERROR(Check());
  return database_->writer_->Run(sql, args, nullptr);
}

absl::StatusOr<std::vector<SqlRow>> Transaction::Query(std::string_view sql, const std::vector<SqlValue>& args)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ATTUNE_RETURN_IF_ERROR(Check());
  std::vector<SqlRow> rows;
  ATTUNE_RETURN_IF_ERROR(database_->writer_->Run(sql, args, &rows).status());
  return rows;
}

absl::Status Transaction::Commit() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  ATTUNE_RETURN_IF_ERROR(Check());
  // On an error the transaction is still open or already rolled back; the destructor handles both.
  FaultPoint("commit.before");
  ATTUNE_RETURN_IF_ERROR(database_->writer_->Run("COMMIT", {}, nullptr).status());
  FaultPoint("commit.after");
  std::exchange(database_, nullptr)->write_mutex_.Unlock();
  return absl::OkStatus();
}

Database::Database(std::string path, std::unique_ptr<SqlConnection> writer, std::unique_ptr<SqlConnection> reader)
    : path_(std::move(path)), writer_(std::move(writer)), reader_(std::move(reader)) {}

Database::~Database() = default;

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<SqlConnection> writer, SqlConnection::Open(path));
  ATTUNE_RETURN_IF_ERROR(writer->RunScript(
      "CREATE TABLE IF NOT EXISTS migrations(component TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"));
  // SQLite does not make the entry of a new file in its directory durable.
  std::string directory = std::filesystem::path(path).parent_path();
  ATTUNE_RETURN_IF_ERROR(Files::Posix().SyncDirectory(directory.empty() ? "." : directory));
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<SqlConnection> reader, SqlConnection::Open(path));
  ATTUNE_RETURN_IF_ERROR(reader->RunScript("PRAGMA query_only = ON"));
  return std::unique_ptr<Database>(new Database(path, std::move(writer), std::move(reader)));
}

absl::Status Database::Migrate(std::string_view component, const std::vector<std::string>& migrations) {
  absl::MutexLock lock(&write_mutex_);
  ATTUNE_RETURN_IF_ERROR(BackUpBefore(component, static_cast<int64_t>(migrations.size())));
  ATTUNE_RETURN_IF_ERROR(writer_->RunScript("BEGIN IMMEDIATE"));
  absl::Status status = MigrateLocked(component, migrations);
  if (status.ok()) status = writer_->RunScript("COMMIT");
  if (!status.ok() && writer_->in_transaction()) writer_->RunScript("ROLLBACK").IgnoreError();
  return status;
}

absl::Status Database::BackUpBefore(std::string_view component, int64_t wanted) const {
  std::vector<SqlRow> rows;
  ATTUNE_RETURN_IF_ERROR(writer_->Run("SELECT version FROM migrations WHERE component = ?", {std::string(component)}, &rows).status());
  if (rows.empty() || rows[0].Int(0) >= wanted) return absl::OkStatus();
  const std::string to = StrCat(path_, ".before-", component, "-", wanted);
  Files& files = Files::Posix();
  ATTUNE_RETURN_IF_ERROR(files.Remove(to + ".tmp"));
  ATTUNE_RETURN_IF_ERROR(CopyTo(to + ".tmp"));
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> copy, files.OpenForAppend(to + ".tmp"));
  ATTUNE_RETURN_IF_ERROR(copy->Sync());
  ATTUNE_RETURN_IF_ERROR(files.Rename(to + ".tmp", to));
  return files.SyncDirectory(std::filesystem::path(to).parent_path().string());
}

absl::Status Database::MigrateLocked(std::string_view component, const std::vector<std::string>& migrations) {
  std::vector<SqlRow> rows;
  ATTUNE_RETURN_IF_ERROR(
      writer_->Run("SELECT version FROM migrations WHERE component = ?", {std::string(component)}, &rows).status());
  const int64_t version = rows.empty() ? 0 : rows[0].Int(0);
  const int64_t wanted = static_cast<int64_t>(migrations.size());
  if (version > wanted) {
    return absl::FailedPreconditionError(StrCat("the database was made by a newer server: its \"", component,
                                                "\" tables have version ", version, " and this server knows ", wanted,
                                                "; run the newer server, or use another data directory"));
  }
  for (int64_t i = version; i < wanted; ++i) {
    absl::Status status = writer_->RunScript(migrations[static_cast<size_t>(i)]);
    if (!status.ok()) {
      return absl::Status(status.code(), StrCat("migration ", i + 1, " of ", component, ": ", status.message()));
    }
  }
  if (version == wanted) return absl::OkStatus();
  return writer_
      ->Run("INSERT INTO migrations VALUES(?, ?) ON CONFLICT(component) DO UPDATE SET version = excluded.version",
            {std::string(component), wanted}, nullptr)
      .status();
}

Transaction Database::Begin() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  write_mutex_.Lock();
  return Transaction(this, writer_->Run("BEGIN IMMEDIATE", {}, nullptr).status());
}

absl::StatusOr<std::vector<SqlRow>> Database::Query(std::string_view sql, const std::vector<SqlValue>& args) {
  absl::MutexLock lock(&read_mutex_);
  std::vector<SqlRow> rows;
  ATTUNE_RETURN_IF_ERROR(reader_->Run(sql, args, &rows).status());
  return rows;
}

absl::Status Database::CopyTo(const std::string& path) const {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<SqlConnection> connection, SqlConnection::Open(path_));
  return connection->Run("VACUUM INTO ?", {path}, nullptr).status();
}

absl::Status Database::CheckIntegrity() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, Query("PRAGMA integrity_check(1)"));
  if (rows.size() == 1 && rows[0].Text(0) == "ok") return absl::OkStatus();
  return absl::DataLossError(StrCat(path_, " is damaged: ", rows.empty() ? std::string("no answer") : rows[0].Text(0)));
}

absl::StatusOr<int64_t> Database::Execute(std::string_view sql, const std::vector<SqlValue>& args) {
  absl::MutexLock lock(&write_mutex_);
  return writer_->Run(sql, args, nullptr);  // SQLite's own transaction around one statement
}

}  // namespace attune
