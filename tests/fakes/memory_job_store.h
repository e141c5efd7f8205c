// MemoryJobStore: a JobStore in memory that passes the contract and fails when told. Header-only. Thread-safe.
//
//   MemoryJobStore store;
//   store.FailCommits(absl::ResourceExhaustedError("disk full"));   // until ClearFault()
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/jobs/job_store.h"

namespace attune::jobs {

class MemoryJobStore final : public JobStore {
 public:
  void FailCommits(absl::Status error) {
    absl::MutexLock lock(&mutex_);
    fault_ = std::move(error);
  }
  void ClearFault() {
    absl::MutexLock lock(&mutex_);
    fault_.reset();
  }
  // Waits until that many commits have succeeded or failed since the start.
  void WaitForCommits(int64_t count) {
    absl::MutexLock lock(&mutex_);
    auto reached = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return commits_ >= count; };
    mutex_.Await(absl::Condition(&reached));
  }
  int64_t commits() const {
    absl::MutexLock lock(&mutex_);
    return commits_;
  }
  // Commits wait at the door until Open().
  void Block() {
    absl::MutexLock lock(&mutex_);
    blocked_ = true;
  }
  void Open() {
    absl::MutexLock lock(&mutex_);
    blocked_ = false;
  }
  // One commit, once it is there, goes through a door that stays closed. Returns when it is over.
  void LetOneThrough() {
    absl::MutexLock lock(&mutex_);
    const int64_t before = commits_;
    ++passes_;
    auto over = [this, before]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return commits_ > before; };
    mutex_.Await(absl::Condition(&over));
  }
  void WaitForSomebodyAtTheDoor() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&at_the_door_));
  }

  absl::Status Commit(const std::vector<JobChange>& changes) override {
    absl::MutexLock lock(&mutex_);
    auto open = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !blocked_ || passes_ > 0; };
    at_the_door_ = true;
    mutex_.Await(absl::Condition(&open));
    at_the_door_ = false;
    if (blocked_) --passes_;
    ++commits_;
    if (fault_.has_value()) return *fault_;
    Undo undo;
    for (const JobChange& change : changes) {
      absl::Status status = std::visit([&](const auto& c) { return Apply(state_, c, undo); }, change);
      if (status.ok()) continue;
      for (auto step = undo.rbegin(); step != undo.rend(); ++step) (*step)(state_);
      return status;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Job>> LoadJobs() override {
    absl::MutexLock lock(&mutex_);
    std::vector<Job> jobs;
    for (const auto& [id, job] : state_.jobs) jobs.push_back(job);
    std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) { return a.order < b.order; });
    return jobs;
  }
  absl::StatusOr<std::vector<CheckpointRecord>> LoadCheckpoints() override {
    absl::MutexLock lock(&mutex_);
    std::vector<CheckpointRecord> checkpoints;
    for (const auto& [key, checkpoint] : state_.checkpoints) checkpoints.push_back(checkpoint);
    return checkpoints;
  }
  absl::StatusOr<std::vector<StoredEvent>> ReadEvents(const std::string& job_id, const EventRange& range) override {
    absl::MutexLock lock(&mutex_);
    std::vector<StoredEvent> events;
    for (auto it = state_.events.upper_bound({job_id, range.after});
         it != state_.events.end() && it->first.first == job_id && it->first.second <= range.up_to; ++it) {
      if (static_cast<int>(events.size()) == range.limit) break;
      EventKind kind = it->second.kind;
      bool droppable = kind == EventKind::kMetric || kind == EventKind::kLogLine;
      if (range.filter == EventFilter::kMetrics && kind != EventKind::kMetric) continue;
      if (range.filter == EventFilter::kNotDroppable && droppable) continue;
      events.push_back(it->second);
    }
    return events;
  }
  absl::StatusOr<StoredEvent> LastEvent(const std::string& job_id) override {
    absl::MutexLock lock(&mutex_);
    StoredEvent last{job_id};
    auto end = state_.events.upper_bound({job_id, std::numeric_limits<int64_t>::max()});
    if (end != state_.events.begin() && std::prev(end)->first.first == job_id) {
      last.sequence = std::prev(end)->second.sequence;
      last.kind = std::prev(end)->second.kind;
    }
    return last;
  }

 private:
  struct State {
    std::map<std::string, Job> jobs;
    std::map<std::pair<std::string, int64_t>, CheckpointRecord> checkpoints;
    std::map<std::pair<std::string, int64_t>, StoredEvent> events;
  };

  // What takes back the changes of a group that fails, in order.
  using Undo = std::vector<std::function<void(State&)>>;

  // Sets or erases map[key], and notes how to take that back.
  template <typename Map, typename Key, typename Value>
  static void Set(State& state, Map State::* map, const Key& key, std::optional<Value> value, Undo& undo) {
    std::optional<Value> before;
    if (auto found = (state.*map).find(key); found != (state.*map).end()) before = std::move(found->second);
    undo.push_back([map, key, before](State& s) { Put(s.*map, key, before); });
    Put(state.*map, key, value);
  }
  template <typename Map, typename Key, typename Value>
  static void Put(Map& map, const Key& key, const std::optional<Value>& value) {
    if (value.has_value()) {
      map.insert_or_assign(key, *value);
    } else {
      map.erase(key);
    }
  }

  static absl::Status Apply(State& state, const PutJob& change, Undo& undo) {
    for (const auto& [id, job] : state.jobs) {
      bool same_request = !change.job.request_id.empty() && job.request_id == change.job.request_id;
      if (id != change.job.id && (same_request || job.order == change.job.order)) {
        return absl::AlreadyExistsError("the request_id or order is taken");
      }
    }
    Job next = change.job;
    if (auto found = state.jobs.find(change.job.id); found != state.jobs.end()) {
      next = found->second;
      next.resource = change.job.resource;
      next.lost_attempts = change.job.lost_attempts;
      next.best_is_measured = change.job.best_is_measured;
    }
    Set(state, &State::jobs, change.job.id, std::optional(std::move(next)), undo);
    return absl::OkStatus();
  }
  static absl::Status Apply(State& state, const PutCheckpoint& change, Undo& undo) {
    Set(state, &State::checkpoints, std::pair(change.checkpoint.job_id, change.checkpoint.step), std::optional(change.checkpoint), undo);
    return absl::OkStatus();
  }
  static absl::Status Apply(State& state, const RemoveCheckpoint& change, Undo& undo) {
    Set(state, &State::checkpoints, std::pair(change.job_id, change.step), std::optional<CheckpointRecord>(), undo);
    return absl::OkStatus();
  }
  static absl::Status Apply(State& state, const RemoveJob& change, Undo& undo) {
    Set(state, &State::jobs, change.job_id, std::optional<Job>(), undo);
    EraseJob<CheckpointRecord>(state, &State::checkpoints, change.job_id, undo);
    EraseJob<StoredEvent>(state, &State::events, change.job_id, undo);
    return absl::OkStatus();
  }
  static absl::Status Apply(State& state, const AddEvent& change, Undo& undo) {
    const std::pair key(change.event.job_id, change.event.sequence);
    if (state.events.count(key) != 0) return absl::AlreadyExistsError("the sequence is taken");
    Set(state, &State::events, key, std::optional(change.event), undo);
    return absl::OkStatus();
  }
  template <typename Value, typename Map>
  static void EraseJob(State& state, Map State::* map, const std::string& job_id, Undo& undo) {
    for (auto it = (state.*map).lower_bound({job_id, 0}); it != (state.*map).end() && it->first.first == job_id; it = (state.*map).lower_bound({job_id, 0})) {
      const auto key = it->first;
      Set(state, map, key, std::optional<Value>(), undo);
    }
  }

  mutable absl::Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> fault_ ABSL_GUARDED_BY(mutex_);
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  bool at_the_door_ ABSL_GUARDED_BY(mutex_) = false;
  int passes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t commits_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attune::jobs
