// JobStore: jobs, their checkpoints and their events, durable. Interface, so that another database can take SQLite's place; every implementation passes
// tests/server/jobs/job_store_contract.h. Owned by main. Thread-safe.
//
// All writes go through Commit, in groups that are durable as a whole or not at all: a job's new state and the event that reports it can't be
// torn apart by a crash. While the server runs, JobEventLog's writer thread is the only caller of Commit.
// Errors: RESOURCE_EXHAUSTED when the disk is full, ALREADY_EXISTS for a request_id or sequence that is taken, DATA_LOSS when what is stored is damaged,
// INTERNAL otherwise.
//
//   ATTUNE_RETURN_IF_ERROR(store.Commit({PutJob{job}, AddEvent{event}}));
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/job.h"

namespace attune::jobs {

enum class EventKind {
  kLasting = 0,   // state changes, evaluations, checkpoints, phases: every watcher gets them
  kMetric = 1,    // a slow watcher may miss it
  kLogLine = 2,   // the same
  kTerminal = 3,  // the job's last event; every watcher gets it
};

struct StoredEvent {
  std::string job_id;
  int64_t sequence = 0;
  EventKind kind = EventKind::kLasting;
  std::string bytes;  // a serialised v1::JobEvent
};

struct PutJob {  // inserts or replaces
  Job job;
};
struct PutCheckpoint {  // inserts or replaces
  CheckpointRecord checkpoint;
};
struct RemoveCheckpoint {  // no error when absent
  std::string job_id;
  int64_t step = 0;
};
struct RemoveJob {  // with its checkpoints and events; no error when absent
  std::string job_id;
};
struct AddEvent {
  StoredEvent event;
};
using JobChange = std::variant<PutJob, PutCheckpoint, RemoveCheckpoint, RemoveJob, AddEvent>;

enum class EventFilter { kAll, kNotDroppable, kMetrics };

struct EventRange {
  int64_t after = 0;  // exclusive
  int64_t up_to = std::numeric_limits<int64_t>::max();
  int limit = 1000;
  EventFilter filter = EventFilter::kAll;
};

class JobStore {
 public:
  virtual ~JobStore() = default;
  // In order, all or none.
  virtual absl::Status Commit(const std::vector<JobChange>& changes) = 0;
  virtual absl::StatusOr<std::vector<Job>> LoadJobs() = 0;                            // by order
  virtual absl::StatusOr<std::vector<CheckpointRecord>> LoadCheckpoints() = 0;        // by job and step
  // By sequence. Empty for a job that is not there.
  virtual absl::StatusOr<std::vector<StoredEvent>> ReadEvents(const std::string& job_id, const EventRange& range) = 0;
  // The newest event without its bytes; sequence 0 where there is none.
  virtual absl::StatusOr<StoredEvent> LastEvent(const std::string& job_id) = 0;
};

}  // namespace attune::jobs
