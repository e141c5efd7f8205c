// UploadRows: the table of uploads in the Database. Owned by LocalArtifactStore; for this folder only. Thread-safe.
// Errors: as in database.h, and NOT_FOUND for a row that is not there.
//
//   ATTUNE_ASSIGN_OR_RETURN(UploadRow row, rows.Find(id));
//   ATTUNE_RETURN_IF_ERROR(rows.SetCommitted(id, row.committed_bytes + n, expire_time));
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/database/database.h"

namespace attune::artifacts {

// An upload is active (sha256 empty), completing (sha256 known, its file is perhaps already renamed into the blobs), or
// complete.
struct UploadRow {
  std::string id;
  std::string filename;
  int64_t size_bytes = 0;
  int64_t committed_bytes = 0;
  std::string expected_sha256;  // empty: the client gave none
  std::string sha256;           // of the content
  bool complete = false;
  absl::Time create_time;
  absl::Time expire_time;
  std::string request_id;      // empty: none
  std::string project;
  std::string payload_digest;  // of what the client asked for, to tell a retry from a reused request_id
};

class UploadRows {
 public:
  explicit UploadRows(Database& database) : database_(database) {}
  absl::Status Migrate();

  // Inserts `row`, or returns the one with the same request_id and payload. ALREADY_EXISTS when the payload is another.
  absl::StatusOr<UploadRow> InsertOnce(const UploadRow& row);
  absl::StatusOr<UploadRow> Find(const std::string& id);
  absl::StatusOr<std::optional<UploadRow>> FindByRequestId(const std::string& request_id);
  absl::StatusOr<std::vector<UploadRow>> All();
  absl::StatusOr<std::vector<UploadRow>> ExpiredAt(absl::Time now);
  absl::StatusOr<int64_t> CountOpen();
  absl::StatusOr<int64_t> SumBytes(const std::string& project);

  absl::Status SetCommitted(const std::string& id, int64_t committed_bytes, absl::Time expire_time);
  // Back to active, with no bytes.
  absl::Status SetEmpty(const std::string& id, absl::Time expire_time);
  absl::Status SetCompleting(const std::string& id, const std::string& sha256, absl::Time expire_time);
  absl::Status SetComplete(const std::string& id);
  // False when the row is not there, or (with `expired_at`) not expired at that time.
  absl::StatusOr<bool> Delete(const std::string& id, std::optional<absl::Time> expired_at);
  // Whether any completing or complete upload has this content.
  absl::StatusOr<bool> IsReferenced(const std::string& sha256);

 private:
  absl::Status UpdateOne(std::string_view sql, const std::vector<SqlValue>& args);
  Database& database_;
};

}  // namespace attune::artifacts
