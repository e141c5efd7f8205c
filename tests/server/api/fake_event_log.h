// FakeEventLog: events in memory, for tests of watches and lists. A subscription that is more than `ring` events behind drops metrics and log lines.
// Header-only. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_event_log.h"

namespace attune::api {

class FakeEventLog final : public jobs::JobEventLog {
 public:
  explicit FakeEventLog(size_t ring = 1'000'000) : ring_(ring) {}

  void Append(const std::string& job_id, v1::JobEvent event, jobs::AppendOptions options = {}) override {
    absl::MutexLock lock(&mutex_);
    std::vector<v1::JobEvent>& events = events_[job_id];
    event.set_sequence(static_cast<int64_t>(events.size()) + 1);
    v1::WatchFineTuningJobResponse response;
    *response.mutable_event() = event;
    shared_[job_id].push_back({.sequence = event.sequence(),
                               .terminal = event.state_changed().terminal(),
                               .droppable = event.has_metrics() || event.has_log_line(),
                               .bytes = std::make_shared<const std::string>(response.SerializeAsString())});
    events.push_back(std::move(event));
    for (Subscription* subscription : subscriptions_) subscription->Wake();
  }
  void AppendMetrics(const std::string& job_id, int64_t step) {
    v1::JobEvent event;
    event.mutable_metrics()->set_step(step);
    (*event.mutable_metrics()->mutable_values())["loss"] = 1.0 / static_cast<double>(step);
    Append(job_id, event);
  }
  void AppendState(const std::string& job_id, const std::string& to, bool terminal) {
    v1::JobEvent event;
    event.mutable_state_changed()->set_to(to);
    event.mutable_state_changed()->set_terminal(terminal);
    Append(job_id, event);
  }
  // As when the job is deleted under its watchers.
  void Remove(const std::string& job_id) {
    absl::MutexLock lock(&mutex_);
    events_.erase(job_id);
    shared_.erase(job_id);
    for (Subscription* subscription : subscriptions_) subscription->Wake();
  }
  int subscriptions() {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(subscriptions_.size());
  }
  void WaitForSubscriptions(size_t count) {
    auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return subscriptions_.size() == count; };
    absl::MutexLock lock(&mutex_, absl::Condition(&reached));
  }
  // How many events the only subscription has taken.
  size_t Taken() {
    absl::MutexLock lock(&mutex_);
    return subscriptions_.size() == 1 ? (*subscriptions_.begin())->taken() : 0;
  }
  // The n-th byte buffer of a job, to see who shares it.
  std::shared_ptr<const std::string> Bytes(const std::string& job_id, size_t index) {
    absl::MutexLock lock(&mutex_);
    return shared_[job_id].at(index).bytes;
  }

  void Commit(jobs::AppendOptions options) override {}
  absl::Status Flush() override { return absl::OkStatus(); }
  jobs::WatchStats Watchers() const override { return {}; }
  bool Failing() const override { return false; }

  absl::StatusOr<std::unique_ptr<jobs::EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence,
                                                                     jobs::WatchCallback wake) override {
    absl::MutexLock lock(&mutex_);
    auto found = shared_.find(job_id);
    if (found == shared_.end()) return absl::NotFoundError(StrCat("there is no fineTuningJobs/", job_id));
    int64_t last = static_cast<int64_t>(found->second.size());
    if (after_sequence > last) return absl::OutOfRangeError(StrCat("after_sequence: the last event is ", last));
    return std::make_unique<Subscription>(*this, job_id, after_sequence, std::move(wake));
  }
  absl::StatusOr<std::vector<v1::JobEvent>> List(const std::string& job_id, int64_t after_sequence, int limit) override {
    absl::MutexLock lock(&mutex_);
    std::vector<v1::JobEvent> page;
    for (const v1::JobEvent& event : events_[job_id]) {
      if (event.sequence() > after_sequence && page.size() < static_cast<size_t>(limit)) page.push_back(event);
    }
    return page;
  }
  absl::StatusOr<std::vector<v1::MetricPoint>> ListMetrics(const std::string& job_id, int64_t after_sequence, int limit,
                                                           int64_t* last_sequence) override {
    absl::MutexLock lock(&mutex_);
    std::vector<v1::MetricPoint> page;
    for (const v1::JobEvent& event : events_[job_id]) {
      if (event.sequence() <= after_sequence || !event.has_metrics() || page.size() == static_cast<size_t>(limit)) continue;
      page.push_back(event.metrics());
      *last_sequence = event.sequence();
    }
    return page;
  }

 private:
  class Subscription final : public jobs::EventSubscription {
   public:
    Subscription(FakeEventLog& log, std::string job_id, int64_t after, jobs::WatchCallback wake)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(log.mutex_)
        : log_(log), job_id_(std::move(job_id)), cursor_(static_cast<size_t>(after)), wake_(std::move(wake)) {
      log_.subscriptions_.insert(this);
      if (cursor_ > 0) ended_ = log_.shared_[job_id_][cursor_ - 1].terminal;
    }
    ~Subscription() override {
      absl::MutexLock lock(&log_.mutex_);
      log_.subscriptions_.erase(this);
    }
    void Wake() { wake_(); }
    size_t taken() const { return cursor_; }  // with the log's mutex
    bool Ended() const override { return ended_; }
    absl::StatusOr<std::vector<Item>> Take(int max_items) override {
      absl::MutexLock lock(&log_.mutex_);
      auto found = log_.shared_.find(job_id_);
      if (found == log_.shared_.end()) return absl::NotFoundError(StrCat("fineTuningJobs/", job_id_, " was deleted"));
      const std::vector<jobs::SharedEvent>& all = found->second;
      std::vector<Item> items;
      int64_t dropped = 0;
      for (; cursor_ < all.size() && items.size() < static_cast<size_t>(max_items); ++cursor_) {
        if (all[cursor_].droppable && all.size() - cursor_ > log_.ring_) {
          ++dropped;
          continue;
        }
        items.push_back({.event = all[cursor_], .dropped = std::exchange(dropped, 0)});
        ended_ = ended_ || all[cursor_].terminal;
      }
      return items;
    }

   private:
    FakeEventLog& log_;
    const std::string job_id_;
    size_t cursor_;
    bool ended_ = false;
    const jobs::WatchCallback wake_;
  };

  const size_t ring_;
  absl::Mutex mutex_;
  std::map<std::string, std::vector<v1::JobEvent>> events_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<jobs::SharedEvent>> shared_ ABSL_GUARDED_BY(mutex_);
  std::set<Subscription*> subscriptions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::api
