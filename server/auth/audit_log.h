// AuditLog: who changed what, when, from where, and how it ended: a JSON object a line in {directory}/audit.jsonl, and finished files audit-{number}.jsonl beside it. Owned by main. Thread-safe.
//
// Why files and not a table of the database. A line is one write(2): it neither waits for the database's write lock nor makes each change of a job pay a second sync; a full disk or a damaged database
// does not take the record of what led there with it; lines only ever come to the end, so that a collector can follow them as it follows logs; and they are not rolled back with what they
// speak of. What a table would give, questions, jq and the collector give too. A line is safe from a killed server at once, and from a cut of power after Sync, which upkeep calls each second. Sync
// finishes files that are large enough, too, so that Record, on a thread of gRPC, waits for no disk.
//
// A call is never refused because its line cannot be written, since by then it has happened: the line goes to the server's log instead, and attune_audit_failures_total counts. Lines hold names and
// ids, never contents, secrets or texts of a client's making that are longer than 256 bytes.
//
// Errors: of Open and Sync, those of files.h.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto audit, AuditLog::Open({.directory = data_dir + "/audit"}, files, clock));
//   audit->Record({.caller = identity, .method = "attune.v1.DatasetService/DeleteDataset", .resource = "datasets/d2x", .peer = context->peer(), .code = "OK"});
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/auth/identity.h"
#include "server/base/clock.h"
#include "server/base/files.h"

namespace attune::auth {

struct AuditOptions {
  std::string directory;                      // made if need be
  int64_t max_file_bytes = int64_t{64} << 20;  // from it on, the next Sync begins a new file
  int max_files = 20;                         // finished ones that are kept; the oldest go
};

struct AuditRecord {
  Identity caller;
  std::string_view method;    // "attune.v1.UploadService/CreateUpload"
  std::string_view resource;  // the name that the call was about, or that it made; empty: none
  std::string_view peer;      // as gRPC names it: "ipv4:10.0.0.7:51234"
  std::string_view code;      // how it ended: "OK", "NOT_FOUND"
};

// The line of a record, with its newline. Pure.
std::string FormatAuditLine(absl::Time time, const AuditRecord& record);

class AuditLog {
 public:
  // A last line that a crash has cut is ended, so that the next one stands by itself.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(AuditOptions options, Files& files, const Clock& clock);

  void Record(const AuditRecord& record);
  // The same for a call that never began, of which one credential could make any number: 60 at once and one a second, and those beyond are left out, so that they push nothing else out of the log.
  void RecordRefusal(const AuditRecord& record);
  // Makes durable what was recorded before, and finishes a file that is large enough. After an error the next call tries again.
  absl::Status Sync();
  int64_t failures() const;  // lines that did not get into the file

 private:
  AuditLog(AuditOptions options, Files& files, const Clock& clock) : options_(std::move(options)), files_(files), clock_(clock) {}
  std::string Path(std::string_view name) const;
  absl::Status OpenFile() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Append(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<bool> Rotate();
  absl::Status RemoveOldest();
  absl::StatusOr<std::vector<std::string>> FinishedFiles() const;

  const AuditOptions options_;
  Files& files_;
  const Clock& clock_;
  absl::Mutex sync_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::shared_ptr<WritableFile> file_ ABSL_GUARDED_BY(mutex_);  // null after an error; opened again by the next line
  int64_t size_ ABSL_GUARDED_BY(mutex_) = 0;
  bool torn_ ABSL_GUARDED_BY(mutex_) = false;  // the file's last line may not be whole
  bool unsynced_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  double refusals_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time refusals_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace attune::auth
