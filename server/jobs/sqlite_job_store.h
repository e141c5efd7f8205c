// JobStore in SQLite: tables jobs, checkpoints and job_events of the shared Database (component "jobs"). Thread-safe. Errors: see job_store.h.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto store, SqliteJobStore::Create(*database));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/database/database.h"
#include "server/jobs/job_store.h"

namespace attune::jobs {

class SqliteJobStore final : public JobStore {
 public:
  // Brings the tables up to date. The database must outlive the store.
  static absl::StatusOr<std::unique_ptr<SqliteJobStore>> Create(Database& database);

  absl::Status Commit(const std::vector<JobChange>& changes) override;
  absl::StatusOr<std::vector<Job>> LoadJobs() override;
  absl::StatusOr<std::vector<CheckpointRecord>> LoadCheckpoints() override;
  absl::StatusOr<std::vector<StoredEvent>> ReadEvents(const std::string& job_id, const EventRange& range) override;
  absl::StatusOr<StoredEvent> LastEvent(const std::string& job_id) override;

 private:
  explicit SqliteJobStore(Database& database) : database_(database) {}
  Database& database_;
};

}  // namespace attune::jobs
