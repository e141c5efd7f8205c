#include "server/jobs/sqlite_job_store.h"

#include <utility>
#include <variant>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::jobs {
namespace {

// Never change one that was released; append.
const std::vector<std::string>& Migrations() {
  static const auto& migrations = *new std::vector<std::string>{
      R"sql(
      CREATE TABLE jobs(
        id TEXT PRIMARY KEY,
        creation_order INTEGER NOT NULL UNIQUE,
        resource BLOB NOT NULL,          -- attune.v1.FineTuningJob
        request_id TEXT UNIQUE,          -- NULL: none
        request_digest TEXT NOT NULL,
        lost_attempts INTEGER NOT NULL,
        best_is_measured INTEGER NOT NULL
      ) WITHOUT ROWID;
      CREATE TABLE checkpoints(
        job_id TEXT NOT NULL,
        step INTEGER NOT NULL,
        directory TEXT NOT NULL,
        resource BLOB NOT NULL,          -- attune.v1.Checkpoint
        PRIMARY KEY(job_id, step)
      ) WITHOUT ROWID;
      CREATE TABLE job_events(
        job_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        kind INTEGER NOT NULL,           -- EventKind
        event BLOB NOT NULL,             -- attune.v1.JobEvent
        PRIMARY KEY(job_id, sequence)
      ) WITHOUT ROWID;
      CREATE INDEX job_events_metrics ON job_events(job_id, sequence) WHERE kind = 1;
      CREATE INDEX job_events_lasting ON job_events(job_id, sequence) WHERE kind IN (0, 3);
      )sql"};
  return migrations;
}

SqlValue OptionalText(const std::string& text) { return text.empty() ? SqlValue(nullptr) : SqlValue(text); }

// Writes one change; overloads for std::visit.
struct ChangeWriter {
  Transaction& tx;

  absl::Status operator()(const PutJob& change) const {
    const Job& job = change.job;
    // An upsert, not INSERT OR REPLACE: that would silently throw out another job with the same request_id.
    return tx
        .Execute("INSERT INTO jobs(id, creation_order, resource, request_id, request_digest, lost_attempts, best_is_measured) "
                 "VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET resource = excluded.resource, "
                 "lost_attempts = excluded.lost_attempts, best_is_measured = excluded.best_is_measured",
                 {job.id, job.order, Blob{job.resource.SerializeAsString()}, OptionalText(job.request_id), job.request_digest,
                  int64_t{job.lost_attempts}, int64_t{job.best_is_measured}})
        .status();
  }
  absl::Status operator()(const PutCheckpoint& change) const {
    const CheckpointRecord& checkpoint = change.checkpoint;
    return tx
        .Execute("INSERT OR REPLACE INTO checkpoints(job_id, step, directory, resource) VALUES(?, ?, ?, ?)",
                 {checkpoint.job_id, checkpoint.step, checkpoint.directory, Blob{checkpoint.resource.SerializeAsString()}})
        .status();
  }
  absl::Status operator()(const RemoveCheckpoint& change) const {
    return tx.Execute("DELETE FROM checkpoints WHERE job_id = ? AND step = ?", {change.job_id, change.step}).status();
  }
  absl::Status operator()(const RemoveJob& change) const {
    ATTUNE_RETURN_IF_ERROR(tx.Execute("DELETE FROM job_events WHERE job_id = ?", {change.job_id}).status());
    ATTUNE_RETURN_IF_ERROR(tx.Execute("DELETE FROM checkpoints WHERE job_id = ?", {change.job_id}).status());
    return tx.Execute("DELETE FROM jobs WHERE id = ?", {change.job_id}).status();
  }
  absl::Status operator()(const AddEvent& change) const {
    const StoredEvent& event = change.event;
    return tx
        .Execute("INSERT INTO job_events(job_id, sequence, kind, event) VALUES(?, ?, ?, ?)",
                 {event.job_id, event.sequence, static_cast<int64_t>(event.kind), Blob{event.bytes}})
        .status();
  }
};

// Each names its condition literally, so that SQLite can use the partial index.
std::string_view FilterCondition(EventFilter filter) {
  switch (filter) {
    case EventFilter::kAll:
      return "";
    case EventFilter::kNotDroppable:
      return " AND kind IN (0, 3)";
    case EventFilter::kMetrics:
      return " AND kind = 1";
  }
  return "";
}

absl::Status Damaged(std::string_view what, std::string_view id) {
  return absl::DataLossError(StrCat("the database row of ", what, " ", id, " cannot be read; restore the data directory from a backup"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteJobStore>> SqliteJobStore::Create(Database& database) {
  ATTUNE_RETURN_IF_ERROR(database.Migrate("jobs", Migrations()));
  return std::unique_ptr<SqliteJobStore>(new SqliteJobStore(database));
}

absl::Status SqliteJobStore::Commit(const std::vector<JobChange>& changes) {
  Transaction tx = database_.Begin();
  for (const JobChange& change : changes) {
    ATTUNE_RETURN_IF_ERROR(std::visit(ChangeWriter{tx}, change));
  }
  return tx.Commit();
}

absl::StatusOr<std::vector<Job>> SqliteJobStore::LoadJobs() {
  ATTUNE_ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT id, creation_order, resource, request_id, request_digest, lost_attempts, "
                                                     "best_is_measured FROM jobs ORDER BY creation_order"));
  std::vector<Job> jobs;
  jobs.reserve(rows.size());
  for (const SqlRow& row : rows) {
    Job job;
    job.id = row.Text(0);
    job.order = row.Int(1);
    if (!job.resource.ParseFromString(row.Bytes(2))) return Damaged("job", job.id);
    job.request_id = row.Text(3);
    job.request_digest = row.Text(4);
    job.lost_attempts = static_cast<int>(row.Int(5));
    job.best_is_measured = row.Int(6) != 0;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

absl::StatusOr<std::vector<CheckpointRecord>> SqliteJobStore::LoadCheckpoints() {
  ATTUNE_ASSIGN_OR_RETURN(auto rows,
                          database_.Query("SELECT job_id, step, directory, resource FROM checkpoints ORDER BY job_id, step"));
  std::vector<CheckpointRecord> checkpoints;
  checkpoints.reserve(rows.size());
  for (const SqlRow& row : rows) {
    CheckpointRecord checkpoint;
    checkpoint.job_id = row.Text(0);
    checkpoint.step = row.Int(1);
    checkpoint.directory = row.Text(2);
    if (!checkpoint.resource.ParseFromString(row.Bytes(3))) return Damaged("a checkpoint of job", checkpoint.job_id);
    checkpoints.push_back(std::move(checkpoint));
  }
  return checkpoints;
}

absl::StatusOr<std::vector<StoredEvent>> SqliteJobStore::ReadEvents(const std::string& job_id, const EventRange& range) {
  ATTUNE_ASSIGN_OR_RETURN(
      auto rows, database_.Query(StrCat("SELECT sequence, kind, event FROM job_events WHERE job_id = ? AND sequence > ? AND sequence <= ?",
                                        FilterCondition(range.filter), " ORDER BY sequence LIMIT ?"),
                                 {job_id, range.after, range.up_to, int64_t{range.limit}}));
  std::vector<StoredEvent> events;
  events.reserve(rows.size());
  for (const SqlRow& row : rows) {
    events.push_back({job_id, row.Int(0), static_cast<EventKind>(row.Int(1)), row.Bytes(2)});
  }
  return events;
}

absl::StatusOr<StoredEvent> SqliteJobStore::LastEvent(const std::string& job_id) {
  ATTUNE_ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT sequence, kind FROM job_events WHERE job_id = ? ORDER BY sequence DESC LIMIT 1", {job_id}));
  if (rows.empty()) return StoredEvent{job_id};
  return StoredEvent{job_id, rows[0].Int(0), static_cast<EventKind>(rows[0].Int(1)), ""};
}

}  // namespace attune::jobs
