// EventFeeds: committed events on their way to watchers. For each job that somebody watches: a ring of its newest events, shared by all its
// watchers. Owned by the event log; for this folder only. Thread-safe.
//
// A watcher is a cursor. Where the ring reaches back to the cursor, events come from there; the part of the history that was there when it subscribed
// comes whole from the store; and where the watcher fell out of the ring later, only what may not be dropped comes from the store, and the holes in
// the sequence are what it missed. So there is no gap and no duplicate, and no buffer that a dead watcher could fill.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "server/jobs/job_event_log.h"
#include "server/jobs/job_store.h"

namespace attune::jobs {

// The event as watchers get it: a serialised WatchFineTuningJobResponse around the serialised JobEvent.
SharedEvent ToSharedEvent(const StoredEvent& event);

class EventFeeds {
 public:
  // `dropped` counts what slow watchers miss.
  EventFeeds(JobStore& store, size_t ring_events, prometheus::Counter& dropped) : store_(store), ring_events_(ring_events), dropped_(dropped) {}

  struct Watcher;
  // Watchers that wait for what was published. Waking takes long when there are many, so the caller chooses when.
  using Woken = std::vector<std::shared_ptr<Watcher>>;

  // Events that are durable now, in order.
  void Publish(const std::vector<StoredEvent>& events, Woken& woken);
  // Ends the job's subscriptions: Take gives NOT_FOUND.
  void Remove(const std::string& job_id, Woken& woken);
  static void Wake(const Woken& woken);
  WatchStats Stats() const;
  absl::StatusOr<std::unique_ptr<EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence, WatchCallback wake);

 private:
  class Subscription;

  // All guarded by EventFeeds::mutex_.
  struct Feed {
    int64_t committed = 0;         // newest sequence that is known to be durable
    bool terminal = false;         // `committed` is the job's last event
    bool removed = false;          // the job was deleted
    std::deque<SharedEvent> ring;  // the newest events, without holes
    std::set<std::shared_ptr<Watcher>> watchers;
  };

  void TakeWaiting(const Feed& feed, Woken& woken) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unsubscribe(const std::string& job_id, const std::shared_ptr<Feed>& feed, const std::shared_ptr<Watcher>& watcher);

  JobStore& store_;
  const size_t ring_events_;
  prometheus::Counter& dropped_;
  mutable absl::Mutex mutex_;
  // Jobs with watchers. Shared with subscriptions, which may outlive the entry of a removed job.
  std::map<std::string, std::shared_ptr<Feed>> feeds_ ABSL_GUARDED_BY(mutex_);
};

// One watcher; shared by its subscription and a wake-up that is under way.
struct EventFeeds::Watcher {
  bool waiting = true;  // guarded by EventFeeds::mutex_: it has taken everything and wants to be woken
  std::atomic<int64_t> taken = 0;  // last sequence that was taken
  absl::Mutex mutex;    // held during the callback, so that unsubscribing waits for it
  WatchCallback wake ABSL_GUARDED_BY(mutex);  // null once unsubscribed
};

}  // namespace attune::jobs
