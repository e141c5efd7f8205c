// JobEventLog: every job's events, durable and in order, and their fan-out to watchers. Owned by main. Thread-safe.
//
// Append gives the event its sequence (1, 2, ... within the job) and queues it; a writer thread commits groups of events in one transaction and only
// then hands them to watchers, each serialised once (as a WatchFineTuningJobResponse) and shared by all. A crash loses at most events that
// nobody has seen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/job_event.pb.h"
#include "server/base/clock.h"
#include "server/database/database.h"

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

// One watcher's bounded place in a job's stream. Take() in a loop until it returns nothing, then wait for the callback.
class EventSubscription {
 public:
  virtual ~EventSubscription() = default;  // unsubscribes; no callback runs after it returns
  struct Item {
    SharedEvent event;    // bytes null when this item only reports drops
    int64_t dropped = 0;  // droppable events left out right before this one
  };
  virtual absl::StatusOr<std::vector<Item>> Take(int max_items) = 0;
};

class JobEventLog {
 public:
  static absl::StatusOr<std::unique_ptr<JobEventLog>> Create(Database& database, const Clock& clock);
  virtual ~JobEventLog() = default;  // flushes
  // Fills in sequence and create_time. `done`, if given, runs on the writer thread once the event is durable (or with the error).
  virtual int64_t Append(const std::string& job_id, v1::JobEvent event, std::function<void(absl::Status)> done = nullptr) = 0;
  // Waits until everything appended before is durable.
  virtual absl::Status Flush() = 0;
  virtual absl::StatusOr<std::unique_ptr<EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence,
                                                                       WatchCallback wake) = 0;
  // Stored events with sequence > after_sequence, at most `limit`.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> List(const std::string& job_id, int64_t after_sequence, int limit) = 0;
  // Stored metric points in step order with sequence > after_sequence; last_sequence receives where to go on.
  virtual absl::StatusOr<std::vector<v1::MetricPoint>> ListMetrics(const std::string& job_id, int64_t after_sequence,
                                                                   int limit, int64_t* last_sequence) = 0;
  virtual absl::Status DeleteJob(const std::string& job_id) = 0;
};

}  // namespace attune::jobs
