#include "server/jobs/group_commit_event_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/synchronization/notification.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/jobs/timestamps.h"

namespace attune::jobs {
namespace {

EventKind KindOf(const v1::JobEvent& event) {
  switch (event.payload_case()) {
    case v1::JobEvent::kMetrics:
      return EventKind::kMetric;
    case v1::JobEvent::kLogLine:
      return EventKind::kLogLine;
    case v1::JobEvent::kStateChanged:
      return event.state_changed().terminal() ? EventKind::kTerminal : EventKind::kLasting;
    default:
      return EventKind::kLasting;
  }
}

bool IsDroppable(EventKind kind) { return kind == EventKind::kMetric || kind == EventKind::kLogLine; }

// Where nothing is left to be tried again, nobody finds out that the store has recovered but the next one who writes: after a while he is welcome.
constexpr absl::Duration kFailureIsNews = absl::Seconds(30);

absl::Status Undecodable(const std::string& job_id) {
  return absl::DataLossError("an event of job " + job_id + " cannot be read; restore the data directory from a backup");
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobEventLog>> JobEventLog::Create(JobStore& store, const Clock& clock, EventLogOptions options) {
  return std::make_unique<GroupCommitEventLog>(store, clock, options);
}

GroupCommitEventLog::GroupCommitEventLog(JobStore& store, const Clock& clock, EventLogOptions options)
    : store_(store), clock_(clock), options_(options), registry_(options.registry), metrics_(registry_.get()), feeds_(store, options.shared_ring_events, metrics_.dropped) {
  if (options_.own_thread) writer_ = std::thread([this] { Write(); });
}

GroupCommitEventLog::~GroupCommitEventLog() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (writer_.joinable()) writer_.join();
}

void GroupCommitEventLog::Append(const std::string& job_id, v1::JobEvent event, AppendOptions options) {
  *event.mutable_create_time() = ToTimestamp(clock_.Now());
  EventKind kind = KindOf(event);
  Enqueue({job_id, std::move(event), kind, std::move(options)});
}

void GroupCommitEventLog::Commit(AppendOptions options) { Enqueue({"", std::nullopt, EventKind::kLasting, std::move(options)}); }

void GroupCommitEventLog::Enqueue(Entry entry) {
  absl::MutexLock lock(&mutex_);
  if (failing_ && IsDroppable(entry.kind) && !entry.options.done && queue_.size() >= options_.max_waiting) {
    ++shed_;
    metrics_.shed.Increment();
    return;
  }
  queue_.push_back(std::move(entry));
}

absl::Status GroupCommitEventLog::Flush() {
  absl::Notification finished;
  absl::Status result;
  Commit({.done =
              [&](absl::Status status) {
                result = std::move(status);
                finished.Notify();
              },
          .fail_fast = true});
  while (!options_.own_thread && !finished.HasBeenNotified()) CommitNext();
  finished.WaitForNotification();
  return result;
}

void GroupCommitEventLog::Write() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || stopping_; };
      mutex_.Await(absl::Condition(&has_work));
      if (queue_.empty()) return;
    }
    for (absl::Duration wait = CommitNext(); wait > absl::ZeroDuration(); wait = CommitNext()) {
      bool stopping = false;
      {
        absl::MutexLock lock(&mutex_);
        stopping = mutex_.AwaitWithTimeout(absl::Condition(&stopping_), wait);
      }
      if (stopping) LoseGroup();
    }
  }
}

// Entries that can't wait are taken out of the group after a failure.
absl::Duration GroupCommitEventLog::CommitNext() {
  const bool again = !group_.empty();
  if (!again) {
    absl::MutexLock lock(&mutex_);
    size_t count = std::min(queue_.size(), options_.max_group);
    group_.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.begin() + static_cast<ptrdiff_t>(count)));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(count));
  }
  for (int attempt = again ? 1 : 0; !group_.empty(); ++attempt) {
    error_ = TryCommit(group_);
    if (error_.ok()) {
      group_.clear();
      break;
    }
    NoteOutcome(error_);
    Shed(group_, error_);
    if (group_.empty()) break;  // the next group has its own try
    FailWaitingEntries(error_);
    // The second try comes at once: without metrics and log lines the group may be small enough.
    if (attempt > 0) return options_.retry_interval;
  }
  return absl::ZeroDuration();
}

bool GroupCommitEventLog::HasWaiting() const {
  absl::MutexLock lock(&mutex_);
  return !queue_.empty() || !group_.empty();
}

bool GroupCommitEventLog::Failing() const {
  absl::MutexLock lock(&mutex_);
  return failing_ && clock_.Now() - failed_at_ < kFailureIsNews;
}

void GroupCommitEventLog::LoseGroup() {
  Log(LogLevel::kError, "job events were lost at shutdown", {{"entries", group_.size()}, {"error", error_.ToString()}});
  for (Entry& entry : group_) {
    if (entry.options.done) entry.options.done(error_);
  }
  group_.clear();
}

void GroupCommitEventLog::NoteOutcome(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (status.ok() && failing_) {
    Log(LogLevel::kInfo, "job events are stored again", {{"dropped", shed_}});
    shed_ = 0;
  } else if (!status.ok() && !failing_) {
    Log(LogLevel::kError, "job events cannot be stored; trying again", {{"error", status.ToString()}});
  }
  failing_ = !status.ok();
  if (failing_) failed_at_ = clock_.Now();
}

absl::Status GroupCommitEventLog::TryCommit(Group& group) {
  std::map<std::string, int64_t> newest;  // takes the place of newest_'s entries once the commit succeeded
  std::vector<JobChange> changes;
  std::vector<StoredEvent> events;
  std::vector<std::string> removed;
  for (Entry& entry : group) {
    // The state first, so that nobody can see an event whose state is not there yet.
    for (const JobChange& change : entry.options.changes) {
      changes.push_back(change);
      if (const auto* removal = std::get_if<RemoveJob>(&change)) removed.push_back(removal->job_id);
    }
    if (!entry.event.has_value()) continue;
    ATTUNE_ASSIGN_OR_RETURN(int64_t sequence, NextSequence(entry.job_id, newest));
    entry.event->set_sequence(sequence);
    events.push_back({entry.job_id, sequence, entry.kind, entry.event->SerializeAsString()});
    changes.push_back(AddEvent{events.back()});
  }
  // A group that has nothing to store says nothing about the store. Whoever waits for the group must find the store well again: noted before they are told.
  if (!changes.empty()) {
    ATTUNE_RETURN_IF_ERROR(CommitToStore(changes));
    NoteOutcome(absl::OkStatus());
  }
  metrics_.committed.Increment(static_cast<double>(events.size()));

  for (auto& [job_id, sequence] : newest) newest_[job_id] = sequence;
  for (const StoredEvent& event : events) {
    if (event.kind == EventKind::kTerminal) newest_.erase(event.job_id);
  }
  EventFeeds::Woken woken;
  feeds_.Publish(events, woken);
  for (const std::string& job_id : removed) {
    newest_.erase(job_id);
    feeds_.Remove(job_id, woken);
  }
  for (Entry& entry : group) {
    if (entry.options.done) entry.options.done(absl::OkStatus());
  }
  EventFeeds::Wake(woken);
  return absl::OkStatus();
}

absl::Status GroupCommitEventLog::CommitToStore(const std::vector<JobChange>& changes) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = store_.Commit(changes);
  metrics_.commit_seconds.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!status.ok()) metrics_.commit_failures.Increment();
  return status;
}

absl::StatusOr<int64_t> GroupCommitEventLog::NextSequence(const std::string& job_id, std::map<std::string, int64_t>& newest) {
  auto found = newest.find(job_id);
  if (found == newest.end()) {
    auto known = newest_.find(job_id);
    if (known != newest_.end()) {
      found = newest.emplace(job_id, known->second).first;
    } else {
      ATTUNE_ASSIGN_OR_RETURN(StoredEvent last, store_.LastEvent(job_id));
      found = newest.emplace(job_id, last.sequence).first;
    }
  }
  return ++found->second;
}

void GroupCommitEventLog::Shed(Group& group, const absl::Status& error) {
  Group kept;
  int64_t shed = 0;
  for (Entry& entry : group) {
    bool droppable = IsDroppable(entry.kind) && !entry.options.done && entry.options.changes.empty();
    if (droppable) {
      ++shed;
    } else if (entry.options.fail_fast) {
      if (entry.options.done) entry.options.done(error);
    } else {
      kept.push_back(std::move(entry));
    }
  }
  group = std::move(kept);
  metrics_.shed.Increment(static_cast<double>(shed));
  absl::MutexLock lock(&mutex_);
  shed_ += shed;
}

// Entries behind the group that must not wait for a store that is out of order.
void GroupCommitEventLog::FailWaitingEntries(const absl::Status& error) {
  Group failed;
  {
    absl::MutexLock lock(&mutex_);
    std::deque<Entry> kept;
    for (Entry& entry : queue_) {
      if (entry.options.fail_fast) {
        failed.push_back(std::move(entry));
      } else {
        kept.push_back(std::move(entry));
      }
    }
    queue_ = std::move(kept);
  }
  for (Entry& entry : failed) {
    if (entry.options.done) entry.options.done(error);
  }
}

absl::StatusOr<std::unique_ptr<EventSubscription>> GroupCommitEventLog::Subscribe(const std::string& job_id, int64_t after_sequence,
                                                                                  WatchCallback wake) {
  return feeds_.Subscribe(job_id, after_sequence, std::move(wake));
}

absl::StatusOr<std::vector<v1::JobEvent>> GroupCommitEventLog::List(const std::string& job_id, int64_t after_sequence, int limit) {
  ATTUNE_ASSIGN_OR_RETURN(auto stored, store_.ReadEvents(job_id, {.after = after_sequence, .limit = limit}));
  std::vector<v1::JobEvent> events(stored.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    if (!events[i].ParseFromString(stored[i].bytes)) return Undecodable(job_id);
  }
  return events;
}

absl::StatusOr<std::vector<v1::MetricPoint>> GroupCommitEventLog::ListMetrics(const std::string& job_id, int64_t after_sequence,
                                                                              int limit, int64_t* last_sequence) {
  ATTUNE_ASSIGN_OR_RETURN(
      auto stored, store_.ReadEvents(job_id, {.after = after_sequence, .limit = limit, .filter = EventFilter::kMetrics}));
  std::vector<v1::MetricPoint> points;
  *last_sequence = after_sequence;
  for (const StoredEvent& row : stored) {
    v1::JobEvent event;
    if (!event.ParseFromString(row.bytes)) return Undecodable(job_id);
    points.push_back(std::move(*event.mutable_metrics()));
    *last_sequence = row.sequence;
  }
  return points;
}

}  // namespace attune::jobs
