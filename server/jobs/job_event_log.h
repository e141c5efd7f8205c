// JobEventLog: every job's events, durable and in order, and their fan-out to watchers. Owned by main. Thread-safe.
//
// Append queues an event; a writer thread gives it its sequence (1, 2, ... within the job, without holes), commits groups of events and of the changes
// of job state that they report in one transaction each, and only then hands them to watchers, each serialised once (as a
// WatchFineTuningJobResponse) and shared by all. A crash loses at most events that nobody has seen.
//
// When a commit fails (disk full), metrics and log lines of the group are dropped, and everything else is tried again until it succeeds; entries marked
// fail_fast get the error instead.
//
//   log.Append(job.id, std::move(event), {.changes = {PutJob{job}}, .done = [](absl::Status durable) { ... }});
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/job_event.pb.h"
#include "prometheus/registry.h"
#include "server/base/clock.h"
#include "server/jobs/job_store.h"

namespace attune::jobs {

// A committed event as watchers get it.
struct SharedEvent {
  int64_t sequence = 0;
  bool terminal = false;    // reports the job's final state
  bool droppable = false;   // metrics and log lines; state changes, evaluations and checkpoints never are
  std::shared_ptr<const std::string> bytes;  // a serialised v1::WatchFineTuningJobResponse{event}
};

// Told that new events may be there. Must not block and not call back into the log from the call.
using WatchCallback = std::function<void()>;

// One watcher's place in a job's stream. Take() in a loop until it returns nothing, then wait for the callback. A watcher costs a cursor, not a
// buffer: events come from a ring that all watchers of the job share, and from the store where the ring no longer reaches. Not thread-safe.
// Errors of Take: NOT_FOUND once the job is deleted, and the store's.
class EventSubscription {
 public:
  // Unsubscribes; no callback runs after it returns. Don't destroy it while holding a lock that the callback takes.
  virtual ~EventSubscription() = default;
  struct Item {
    SharedEvent event;
    int64_t dropped = 0;  // droppable events left out right before this one
  };
  virtual absl::StatusOr<std::vector<Item>> Take(int max_items) = 0;
  // Whether the terminal event is behind the cursor: nothing more will come.
  virtual bool Ended() const { return false; }
};

struct EventLogOptions {
  size_t shared_ring_events = 1024;  // of each job, for watchers; one that is further behind misses metrics and log lines
  size_t max_group = 512;            // entries in one transaction
  size_t max_waiting = 8192;         // entries; when more wait while commits fail, metrics and log lines are not taken
  absl::Duration retry_interval = absl::Milliseconds(500);
  prometheus::Registry* registry = nullptr;  // of its metrics; null: nobody looks at them
  bool own_thread = true;            // false: the owner calls GroupCommitEventLog::CommitNext, and what waits when the log goes is dropped
};

// What goes with an event.
struct AppendOptions {
  std::vector<JobChange> changes;           // durable in the same transaction
  std::function<void(absl::Status)> done;   // runs on the writer thread once it is durable, or with the error; must not block
  bool fail_fast = false;                   // a failed commit drops the entry, and done gets the error
};

struct WatchStats {
  int watchers = 0;
  int64_t most_behind = 0;  // events that the slowest watcher has not taken
};

class JobEventLog {
 public:
  static absl::StatusOr<std::unique_ptr<JobEventLog>> Create(JobStore& store, const Clock& clock, EventLogOptions options = {});
  virtual ~JobEventLog() = default;  // commits what waits; what fails is tried once more
  // Fills in sequence and create_time.
  virtual void Append(const std::string& job_id, v1::JobEvent event, AppendOptions options = {}) = 0;
  // Changes that no event reports. `options.changes` with RemoveJob ends the job's subscriptions.
  virtual void Commit(AppendOptions options) = 0;
  // Waits until everything appended before is durable; the error when a commit fails.
  virtual absl::Status Flush() = 0;
  // NOT_FOUND for a job without events, OUT_OF_RANGE for an after_sequence that the job has not reached.
  virtual absl::StatusOr<std::unique_ptr<EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence,
                                                                       WatchCallback wake) = 0;
  // Stored events with sequence > after_sequence, at most `limit`.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> List(const std::string& job_id, int64_t after_sequence, int limit) = 0;
  // Stored metric points in sequence order with sequence > after_sequence; last_sequence receives where to go on.
  virtual absl::StatusOr<std::vector<v1::MetricPoint>> ListMetrics(const std::string& job_id, int64_t after_sequence,
                                                                   int limit, int64_t* last_sequence) = 0;
  virtual WatchStats Watchers() const = 0;
  // Whether the last commit failed, half a minute ago at most: what is appended waits, or is lost (see above).
  virtual bool Failing() const = 0;
};

}  // namespace attune::jobs
