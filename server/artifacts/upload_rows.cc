#include "server/artifacts/upload_rows.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::artifacts {
namespace {

// Applied in order; a released one is never edited.
const std::vector<std::string>& Migrations() {
  static const auto* const migrations = new std::vector<std::string>{
      R"(CREATE TABLE uploads(
           id TEXT PRIMARY KEY,
           filename TEXT NOT NULL,
           size_bytes INTEGER NOT NULL,
           committed_bytes INTEGER NOT NULL,
           expected_sha256 TEXT NOT NULL,
           sha256 TEXT NOT NULL,
           complete INTEGER NOT NULL,
           create_time_us INTEGER NOT NULL,
           expire_time_us INTEGER NOT NULL,
           request_id TEXT UNIQUE,
           payload_digest TEXT NOT NULL) WITHOUT ROWID;
         CREATE INDEX uploads_by_sha256 ON uploads(sha256);
         CREATE INDEX uploads_by_expire_time ON uploads(expire_time_us))",
      "ALTER TABLE uploads ADD COLUMN project TEXT NOT NULL DEFAULT 'default'"};
  return *migrations;
}

constexpr char kSelect[] =
    "SELECT id, filename, size_bytes, committed_bytes, expected_sha256, sha256, complete, create_time_us, "
    "expire_time_us, "
    "request_id, payload_digest, project FROM uploads ";

UploadRow FromSql(const SqlRow& row) {
  return {.id = row.Text(0),
          .filename = row.Text(1),
          .size_bytes = row.Int(2),
          .committed_bytes = row.Int(3),
          .expected_sha256 = row.Text(4),
          .sha256 = row.Text(5),
          .complete = row.Int(6) != 0,
          .create_time = absl::FromUnixMicros(row.Int(7)),
          .expire_time = absl::FromUnixMicros(row.Int(8)),
          .request_id = row.Text(9),
          .project = row.Text(11),
          .payload_digest = row.Text(10)};
}

std::vector<UploadRow> FromSql(const std::vector<SqlRow>& rows) {
  std::vector<UploadRow> uploads;
  uploads.reserve(rows.size());
  for (const SqlRow& row : rows) uploads.push_back(FromSql(row));
  return uploads;
}

}  // namespace

absl::Status UploadRows::Migrate() { return database_.Migrate("artifacts", Migrations()); }

absl::StatusOr<UploadRow> UploadRows::InsertOnce(const UploadRow& row) {
  Transaction transaction = database_.Begin();
  if (!row.request_id.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> found,
                            transaction.Query(StrCat(kSelect, "WHERE request_id = ?"), {row.request_id}));
    if (!found.empty()) {
      UploadRow first = FromSql(found[0]);
      if (first.payload_digest == row.payload_digest) return first;
      return absl::AlreadyExistsError(StrCat("request_id: was used before for another upload (uploads/", first.id, "); use a new request_id for a new upload"));
    }
  }
  SqlValue request_id = nullptr;  // NULLs do not collide
  if (!row.request_id.empty()) request_id = row.request_id;
  ATTUNE_RETURN_IF_ERROR(transaction
                             .Execute("INSERT INTO uploads VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                      {row.id, row.filename, row.size_bytes, row.committed_bytes, row.expected_sha256,
                                       row.sha256, int64_t{row.complete}, absl::ToUnixMicros(row.create_time),
                                       absl::ToUnixMicros(row.expire_time), request_id, row.payload_digest, row.project})
                             .status());
  ATTUNE_RETURN_IF_ERROR(transaction.Commit());
  return row;
}

absl::StatusOr<UploadRow> UploadRows::Find(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, database_.Query(StrCat(kSelect, "WHERE id = ?"), {id}));
  if (rows.empty()) {
    return absl::NotFoundError(StrCat("uploads/", id, " does not exist or has expired; create a new upload"));
  }
  return FromSql(rows[0]);
}

absl::StatusOr<std::optional<UploadRow>> UploadRows::FindByRequestId(const std::string& request_id) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows,
                          database_.Query(StrCat(kSelect, "WHERE request_id = ?"), {request_id}));
  if (rows.empty()) return std::nullopt;
  return FromSql(rows[0]);
}

absl::StatusOr<std::vector<UploadRow>> UploadRows::All() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, database_.Query(kSelect));
  return FromSql(rows);
}

absl::StatusOr<std::vector<UploadRow>> UploadRows::ExpiredAt(absl::Time now) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows,
                          database_.Query(StrCat(kSelect, "WHERE expire_time_us <= ?"), {absl::ToUnixMicros(now)}));
  return FromSql(rows);
}

absl::StatusOr<int64_t> UploadRows::CountOpen() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, database_.Query("SELECT COUNT(*) FROM uploads WHERE complete = 0"));
  return rows.empty() ? 0 : rows[0].Int(0);
}

absl::StatusOr<int64_t> UploadRows::SumBytes(const std::string& project) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, database_.Query("SELECT COALESCE(SUM(size_bytes), 0) FROM uploads WHERE project = ?", {project}));
  return rows.empty() ? 0 : rows[0].Int(0);
}

absl::Status UploadRows::UpdateOne(std::string_view sql, const std::vector<SqlValue>& args) {
  ATTUNE_ASSIGN_OR_RETURN(int64_t changed, database_.Execute(sql, args));
  if (changed == 1) return absl::OkStatus();
  return absl::NotFoundError("the upload was deleted meanwhile; create a new upload");
}

absl::Status UploadRows::SetCommitted(const std::string& id, int64_t committed_bytes, absl::Time expire_time) {
  return UpdateOne("UPDATE uploads SET committed_bytes = ?, expire_time_us = ? WHERE id = ?",
                   {committed_bytes, absl::ToUnixMicros(expire_time), id});
}

absl::Status UploadRows::SetEmpty(const std::string& id, absl::Time expire_time) {
  return UpdateOne("UPDATE uploads SET committed_bytes = 0, sha256 = '', complete = 0, expire_time_us = ? WHERE id = ?",
                   {absl::ToUnixMicros(expire_time), id});
}

absl::Status UploadRows::SetCompleting(const std::string& id, const std::string& sha256, absl::Time expire_time) {
  return UpdateOne("UPDATE uploads SET committed_bytes = size_bytes, sha256 = ?, expire_time_us = ? WHERE id = ?",
                   {sha256, absl::ToUnixMicros(expire_time), id});
}

absl::Status UploadRows::SetComplete(const std::string& id) {
  return UpdateOne("UPDATE uploads SET complete = 1 WHERE id = ?", {id});
}

absl::StatusOr<bool> UploadRows::Delete(const std::string& id, std::optional<absl::Time> expired_at) {
  const absl::Time limit = expired_at.value_or(absl::FromUnixMicros(INT64_MAX));
  ATTUNE_ASSIGN_OR_RETURN(int64_t changed, database_.Execute("DELETE FROM uploads WHERE id = ? AND expire_time_us <= ?",
                                                             {id, absl::ToUnixMicros(limit)}));
  return changed == 1;
}

absl::StatusOr<bool> UploadRows::IsReferenced(const std::string& sha256) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows,
                          database_.Query("SELECT 1 FROM uploads WHERE sha256 = ? LIMIT 1", {sha256}));
  return !rows.empty();
}

}  // namespace attune::artifacts
