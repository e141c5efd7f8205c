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
    worker::v1::Predict request;
    WorkerPool::PredictCallback done;
    absl::Time deadline;
  };

  explicit PredictionQueue(size_t max_waiting) : max_waiting_(max_waiting) {}

  // Takes the callback only when there is room.
  absl::Status Add(const std::string& checkpoint_directory, std::vector<v1::TextInput> inputs, WorkerPool::PredictCallback& done,
                   absl::Time deadline) {
    if (waiting_.size() >= max_waiting_) {
      return absl::ResourceExhaustedError(std::to_string(waiting_.size()) + " predictions wait already; try again later");
    }
    Entry entry;
    entry.request.set_request(++last_request_);
    entry.request.set_checkpoint_dir(checkpoint_directory);
    for (v1::TextInput& input : inputs) *entry.request.add_inputs() = std::move(input);
    entry.done = std::move(done);
    entry.deadline = deadline;
    waiting_.push_back(std::move(entry));
    return absl::OkStatus();
  }

  bool HasWaiting() const { return !waiting_.empty(); }
  bool InFlight() const { return in_flight_.has_value(); }

  // The next to send; nullptr when there is none or one is under way.
  const worker::v1::Predict* SendNext() {
    if (in_flight_.has_value() || waiting_.empty()) return nullptr;
    in_flight_ = std::move(waiting_.front());
    waiting_.pop_front();
    return &in_flight_->request;
  }

  // The answer to `request`, or the end of whatever is under way; empty when it is not that.
  std::optional<Entry> TakeInFlight(std::optional<int64_t> request = std::nullopt) {
    if (!in_flight_.has_value() || (request.has_value() && in_flight_->request.request() != *request)) return std::nullopt;
    return std::exchange(in_flight_, std::nullopt);
  }

  // Those that waited too long. The one under way is judged by InFlightDeadline.
  std::vector<Entry> TakeExpired(absl::Time now) {
    std::vector<Entry> expired;
    while (!waiting_.empty() && waiting_.front().deadline <= now) {
      expired.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return expired;
  }
  std::vector<Entry> TakeAll() {
    std::vector<Entry> all;
    if (in_flight_.has_value()) all.push_back(*std::exchange(in_flight_, std::nullopt));
    for (Entry& entry : waiting_) all.push_back(std::move(entry));
    waiting_.clear();
    return all;
  }

  absl::Time InFlightDeadline() const { return in_flight_.has_value() ? in_flight_->deadline : absl::InfiniteFuture(); }
  absl::Time WaitingDeadline() const { return waiting_.empty() ? absl::InfiniteFuture() : waiting_.front().deadline; }

 private:
  const size_t max_waiting_;
  int64_t last_request_ = 0;
  std::deque<Entry> waiting_;
  std::optional<Entry> in_flight_;
};

}  // namespace attune::workers
