// JobEventLog on a JobStore with one writer thread; what JobEventLog::Create returns. Contract: see job_event_log.h.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/event_feed.h"
#include "server/jobs/event_metrics.h"
#include "server/jobs/job_event_log.h"
#include "server/metrics/registry_or_own.h"

namespace attune::jobs {

class GroupCommitEventLog final : public JobEventLog {
 public:
  GroupCommitEventLog(JobStore& store, const Clock& clock, EventLogOptions options);
  ~GroupCommitEventLog() override;

  void Append(const std::string& job_id, v1::JobEvent event, AppendOptions options) override;
  void Commit(AppendOptions options) override;
  absl::Status Flush() override;
  // For an owner whose options say that there is no thread. Tries the oldest group; what is left of it stays first in line. Returns how long to wait before the next try:
  // zero unless the store failed.
  absl::Duration CommitNext();
  bool HasWaiting() const;
  absl::StatusOr<std::unique_ptr<EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence,
                                                               WatchCallback wake) override;
  absl::StatusOr<std::vector<v1::JobEvent>> List(const std::string& job_id, int64_t after_sequence, int limit) override;
  absl::StatusOr<std::vector<v1::MetricPoint>> ListMetrics(const std::string& job_id, int64_t after_sequence, int limit,
                                                           int64_t* last_sequence) override;
  WatchStats Watchers() const override { return feeds_.Stats(); }
  bool Failing() const override;

 private:
  struct Entry {
    std::string job_id;                 // empty: no event
    std::optional<v1::JobEvent> event;
    EventKind kind = EventKind::kLasting;
    AppendOptions options;
  };
  using Group = std::vector<Entry>;

  void Enqueue(Entry entry);
  void Write();  // the writer thread
  // What is left of the group when the log goes while the store fails.
  void LoseGroup();
  absl::Status TryCommit(Group& group);
  absl::Status CommitToStore(const std::vector<JobChange>& changes);
  void NoteOutcome(const absl::Status& status);
  void Shed(Group& group, const absl::Status& error);
  void FailWaitingEntries(const absl::Status& error);
  absl::StatusOr<int64_t> NextSequence(const std::string& job_id, std::map<std::string, int64_t>& newest);

  JobStore& store_;
  const Clock& clock_;
  const EventLogOptions options_;
  metrics::RegistryOrOwn registry_;
  EventMetrics metrics_;
  EventFeeds feeds_;

  mutable absl::Mutex mutex_;
  std::deque<Entry> queue_ ABSL_GUARDED_BY(mutex_);
  bool failing_ ABSL_GUARDED_BY(mutex_) = false;  // the last commit failed
  absl::Time failed_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t shed_ ABSL_GUARDED_BY(mutex_) = 0;      // metrics and log lines dropped since commits fail

  // Writer thread only.
  std::map<std::string, int64_t> newest_;  // committed sequence of jobs that are not at their end
  Group group_;                            // taken from the queue and not yet committed
  absl::Status error_;                     // of the last try
  std::thread writer_;
};

}  // namespace attune::jobs
