// PredictionQueue: predictions that wait for the prediction worker, and the one that it works on. One at a time: the worker is busy anyway, and when it dies only
// one caller is told. Bookkeeping only: the pool owns it, guards it, and runs the callbacks that it hands out. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/workers/worker_pool.h"

namespace attune::workers {

class PredictionQueue {
 public:
  struct Entry {
    int64_t id = 0;               // of the request
    worker::v1::Predict request;  // until it is sent
    WorkerPool::PredictCallback done;
    absl::Time deadline;
  };

  PredictionQueue(size_t max_waiting, size_t max_waiting_bytes) : max_waiting_(max_waiting), max_waiting_bytes_(max_waiting_bytes) {}

  // Takes the callback only when there is room. One that waits alone may be of any size.
  absl::Status Add(worker::v1::Predict prediction, WorkerPool::PredictCallback& done, absl::Time deadline) {
    if (waiting_.size() >= max_waiting_ || (!waiting_.empty() && waiting_bytes_ + prediction.ByteSizeLong() > max_waiting_bytes_)) {
      return absl::ResourceExhaustedError(std::to_string(waiting_.size()) + " predictions wait already; try again later");
    }
    Entry entry;
    entry.id = ++last_request_;
    entry.request = std::move(prediction);
    entry.request.set_request(entry.id);
    entry.done = std::move(done);
    entry.deadline = deadline;
    waiting_.push_back(std::move(entry));
    waiting_bytes_ += SizeOf(waiting_.back());
    return absl::OkStatus();
  }

  bool HasWaiting() const { return !waiting_.empty(); }
  bool InFlight() const { return in_flight_.has_value(); }

  // The next to send; none when nothing waits or one is under way.
  std::optional<worker::v1::Predict> SendNext() {
    if (in_flight_.has_value() || waiting_.empty()) return std::nullopt;
    in_flight_ = TakeFirst();
    return std::move(in_flight_->request);
  }

  // The answer to `request`, or the end of whatever is under way; empty when it is not that.
  std::optional<Entry> TakeInFlight(std::optional<int64_t> request = std::nullopt) {
    if (!in_flight_.has_value() || (request.has_value() && in_flight_->id != *request)) return std::nullopt;
    return std::exchange(in_flight_, std::nullopt);
  }

  // Those that waited too long. The one under way is judged by InFlightDeadline.
  std::vector<Entry> TakeExpired(absl::Time now) {
    std::vector<Entry> expired;
    while (!waiting_.empty() && waiting_.front().deadline <= now) expired.push_back(TakeFirst());
    return expired;
  }
  std::vector<Entry> TakeAll() {
    std::vector<Entry> all;
    if (in_flight_.has_value()) all.push_back(*std::exchange(in_flight_, std::nullopt));
    while (!waiting_.empty()) all.push_back(TakeFirst());
    return all;
  }

  absl::Time InFlightDeadline() const { return in_flight_.has_value() ? in_flight_->deadline : absl::InfiniteFuture(); }
  absl::Time WaitingDeadline() const { return waiting_.empty() ? absl::InfiniteFuture() : waiting_.front().deadline; }

 private:
  static size_t SizeOf(const Entry& entry) { return entry.request.ByteSizeLong(); }
  Entry TakeFirst() {
    waiting_bytes_ -= SizeOf(waiting_.front());
    Entry first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  }

  const size_t max_waiting_, max_waiting_bytes_;
  size_t waiting_bytes_ = 0;
  int64_t last_request_ = 0;
  std::deque<Entry> waiting_;
  std::optional<Entry> in_flight_;
};

}  // namespace attune::workers
