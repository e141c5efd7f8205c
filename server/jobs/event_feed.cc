#include "server/jobs/event_feed.h"

#include <algorithm>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/base/status_macros.h"

namespace attune::jobs {

SharedEvent ToSharedEvent(const StoredEvent& event) {
  using google::protobuf::internal::WireFormatLite;
  // The event's bytes become field `event` of the response without being parsed: tag, length, content.
  auto bytes = std::make_shared<std::string>();
  uint8_t head[2 * google::protobuf::io::CodedOutputStream::StaticVarintSize32<UINT32_MAX>::value];
  uint8_t* end = google::protobuf::io::CodedOutputStream::WriteTagToArray(
      WireFormatLite::MakeTag(v1::WatchFineTuningJobResponse::kEventFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED), head);
  end = google::protobuf::io::CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(event.bytes.size()), end);
  bytes->reserve(static_cast<size_t>(end - head) + event.bytes.size());
  bytes->append(reinterpret_cast<const char*>(head), static_cast<size_t>(end - head)).append(event.bytes);
  return {.sequence = event.sequence,
          .terminal = event.kind == EventKind::kTerminal,
          .droppable = event.kind == EventKind::kMetric || event.kind == EventKind::kLogLine,
          .bytes = std::move(bytes)};
}

class EventFeeds::Subscription final : public EventSubscription {
 public:
  Subscription(EventFeeds& feeds, std::string job_id, std::shared_ptr<Feed> feed, std::shared_ptr<Watcher> watcher,
               int64_t after_sequence, int64_t replay_until)
      : feeds_(feeds), job_id_(std::move(job_id)), feed_(std::move(feed)), watcher_(std::move(watcher)), cursor_(after_sequence),
        scanned_(after_sequence), replay_until_(replay_until) {}

  ~Subscription() override { feeds_.Unsubscribe(job_id_, feed_, watcher_); }

  absl::StatusOr<std::vector<Item>> Take(int max_items) override {
    std::vector<Item> items;
    while (items.empty()) {
      EventRange range;
      {
        absl::MutexLock lock(&feeds_.mutex_);
        if (feed_->removed) return absl::NotFoundError("the job was deleted");
        if (scanned_ >= feed_->committed) {
          watcher_->waiting = true;
          return items;
        }
        if (TakeFromRing(max_items, items)) return items;
        range = RangeToRead(max_items);
      }
      ATTUNE_ASSIGN_OR_RETURN(std::vector<StoredEvent> events, feeds_.store_.ReadEvents(job_id_, range));
      for (const StoredEvent& event : events) Deliver(ToSharedEvent(event), items);
      // Fewer than asked for: what is missing up to the end of the range was dropped.
      if (static_cast<int>(events.size()) < range.limit) scanned_ = std::max(scanned_, range.up_to);
    }
    return items;
  }

  bool Ended() const override {
    absl::MutexLock lock(&feeds_.mutex_);
    return feed_->removed || (feed_->terminal && cursor_ >= feed_->committed);
  }

 private:
  bool TakeFromRing(int max_items, std::vector<Item>& items) ABSL_EXCLUSIVE_LOCKS_REQUIRED(feeds_.mutex_) {
    const std::deque<SharedEvent>& ring = feed_->ring;
    if (ring.empty() || scanned_ + 1 < ring.front().sequence || scanned_ >= ring.back().sequence) return false;
    auto next = ring.begin() + (scanned_ + 1 - ring.front().sequence);
    for (; next != ring.end() && static_cast<int>(items.size()) < max_items; ++next) Deliver(*next, items);
    return true;
  }

  EventRange RangeToRead(int max_items) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(feeds_.mutex_) {
    EventRange range;
    range.after = scanned_;
    range.limit = max_items;
    if (scanned_ < replay_until_) {
      range.up_to = replay_until_;
    } else {
      range.up_to = feed_->ring.empty() ? feed_->committed : std::min(feed_->committed, feed_->ring.front().sequence - 1);
      range.filter = EventFilter::kNotDroppable;
    }
    return range;
  }

  // Sequences have no holes, so what lies between the cursor and this event was left out.
  void Deliver(SharedEvent event, std::vector<Item>& items) {
    int64_t dropped = event.sequence - cursor_ - 1;
    if (dropped > 0) feeds_.dropped_.Increment(static_cast<double>(dropped));
    cursor_ = scanned_ = event.sequence;
    watcher_->taken = event.sequence;
    items.push_back({std::move(event), dropped});
  }

  EventFeeds& feeds_;
  const std::string job_id_;
  const std::shared_ptr<Feed> feed_;
  const std::shared_ptr<Watcher> watcher_;
  int64_t cursor_;   // last delivered
  int64_t scanned_;  // last delivered or found to be left out
  const int64_t replay_until_;
};

void EventFeeds::Publish(const std::vector<StoredEvent>& events, Woken& woken) {
  absl::MutexLock lock(&mutex_);
  if (feeds_.empty()) return;
  std::set<Feed*> seen;
  std::vector<Feed*> touched;  // in the order of their events
  for (const StoredEvent& event : events) {
    auto found = feeds_.find(event.job_id);
    if (found == feeds_.end()) continue;
    Feed& feed = *found->second;
    feed.ring.push_back(ToSharedEvent(event));
    if (feed.ring.size() > ring_events_) feed.ring.pop_front();
    feed.committed = std::max(feed.committed, event.sequence);
    feed.terminal = feed.terminal || event.kind == EventKind::kTerminal;
    if (seen.insert(&feed).second) touched.push_back(&feed);
  }
  for (Feed* feed : touched) TakeWaiting(*feed, woken);
}

void EventFeeds::Remove(const std::string& job_id, Woken& woken) {
  absl::MutexLock lock(&mutex_);
  auto found = feeds_.find(job_id);
  if (found == feeds_.end()) return;
  found->second->removed = true;
  TakeWaiting(*found->second, woken);
  feeds_.erase(found);
}

absl::StatusOr<std::unique_ptr<EventSubscription>> EventFeeds::Subscribe(const std::string& job_id, int64_t after_sequence,
                                                                         WatchCallback wake) {
  auto watcher = std::make_shared<Watcher>();
  {
    absl::MutexLock lock(&watcher->mutex);
    watcher->wake = std::move(wake);
  }
  std::shared_ptr<Feed> feed;
  {
    // The feed comes first and the look into the store second: an event is either in the store by then, or will be published to the feed.
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<Feed>& entry = feeds_[job_id];
    if (entry == nullptr) entry = std::make_shared<Feed>();
    feed = entry;
    feed->watchers.insert(watcher);
  }
  absl::StatusOr<StoredEvent> last = store_.LastEvent(job_id);
  absl::Status status = last.status();
  int64_t replay_until = 0;
  if (last.ok()) {
    absl::MutexLock lock(&mutex_);
    feed->committed = std::max(feed->committed, last->sequence);
    feed->terminal = feed->terminal || last->kind == EventKind::kTerminal;
    replay_until = feed->committed;
    if (feed->committed == 0 || feed->removed) status = absl::NotFoundError("the job does not exist");
  }
  if (status.ok() && (after_sequence < 0 || after_sequence > replay_until)) {
    status = absl::OutOfRangeError("after_sequence is " + std::to_string(after_sequence) + ", but the job's last event is " +
                                   std::to_string(replay_until) + "; pass the sequence of the last event that you have, or 0");
  }
  if (!status.ok()) {
    Unsubscribe(job_id, feed, watcher);
    return status;
  }
  watcher->taken = after_sequence;
  return std::make_unique<Subscription>(*this, job_id, std::move(feed), std::move(watcher), after_sequence, replay_until);
}

WatchStats EventFeeds::Stats() const {
  WatchStats stats;
  absl::MutexLock lock(&mutex_);
  for (const auto& [job, feed] : feeds_) {
    for (const std::shared_ptr<Watcher>& watcher : feed->watchers) {
      ++stats.watchers;
      stats.most_behind = std::max(stats.most_behind, feed->committed - watcher->taken.load());
    }
  }
  return stats;
}

void EventFeeds::TakeWaiting(const Feed& feed, Woken& woken) {
  for (const std::shared_ptr<Watcher>& watcher : feed.watchers) {
    if (std::exchange(watcher->waiting, false)) woken.push_back(watcher);
  }
}

void EventFeeds::Wake(const Woken& woken) {
  for (const std::shared_ptr<Watcher>& watcher : woken) {
    absl::MutexLock lock(&watcher->mutex);
    if (watcher->wake) watcher->wake();
  }
}

void EventFeeds::Unsubscribe(const std::string& job_id, const std::shared_ptr<Feed>& feed, const std::shared_ptr<Watcher>& watcher) {
  {
    absl::MutexLock lock(&mutex_);
    feed->watchers.erase(watcher);
    auto found = feeds_.find(job_id);
    if (feed->watchers.empty() && found != feeds_.end() && found->second == feed) feeds_.erase(found);
  }
  absl::MutexLock lock(&watcher->mutex);
  watcher->wake = nullptr;
}

}  // namespace attune::jobs
