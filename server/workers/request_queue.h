// RequestQueue: predictions, evaluations or probes that wait for their worker, and the one that it works on. One at a time: the worker is busy anyway, and when it dies only
// one caller is told. Bookkeeping only: the pool owns it, guards it, and runs the callbacks that it hands out. Not thread-safe.
//
//   RequestQueue queue("predictions", std::make_shared<RequestQueue::Budget>(1024, 256 << 20));
//   absl::StatusOr<int64_t> id = queue.Add(command, callbacks, deadline);
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/worker/v1/worker.pb.h"

namespace attune::workers {

class RequestQueue {
 public:
  struct Callbacks {
    std::function<void(absl::StatusOr<worker::v1::ConnectRequest>)> done;         // the worker's answer
    std::function<void(const worker::v1::ConnectRequest&)> progress = nullptr;  // null: there is none
  };
  struct Entry {
    int64_t id = 0;                       // of the request
    worker::v1::ConnectResponse command;  // until it is sent
    Callbacks callbacks;
    absl::Time deadline;
    bool cancelled = false;
  };

  // How much may wait, and does, in all queues that share it.
  struct Budget {
    Budget(size_t max_waiting, size_t max_bytes) : max_waiting(max_waiting), max_bytes(max_bytes) {}
    const size_t max_waiting, max_bytes;
    size_t waiting = 0, bytes = 0;
  };

  // `what`: the requests, for messages.
  RequestQueue(const char* what, std::shared_ptr<Budget> budget) : what_(what), budget_(std::move(budget)) {}

  // A predict, evaluate or probe command; returns its number. Takes the callbacks only when there is room. One that waits alone may be of any size.
  absl::StatusOr<int64_t> Add(worker::v1::ConnectResponse command, Callbacks& callbacks, absl::Time deadline) {
    if (budget_->waiting >= budget_->max_waiting || (budget_->waiting > 0 && budget_->bytes + command.ByteSizeLong() > budget_->max_bytes)) {
      return absl::ResourceExhaustedError(std::to_string(budget_->waiting) + " " + what_ + " wait already; try again later");
    }
    TakeOver({.command = std::move(command), .callbacks = std::move(callbacks), .deadline = deadline});
    return last_request_;
  }

  // What waited in another queue, under a number of this one.
  void TakeOver(Entry entry) {
    entry.id = ++last_request_;
    if (entry.command.has_evaluate()) {
      entry.command.mutable_evaluate()->set_request(entry.id);
    } else if (entry.command.has_probe()) {
      entry.command.mutable_probe()->set_request(entry.id);
    } else {
      entry.command.mutable_predict()->set_request(entry.id);
    }
    waiting_.push_back(std::move(entry));
    ++budget_->waiting;
    budget_->bytes += SizeOf(waiting_.back());
  }

  bool HasWaiting() const { return !waiting_.empty(); }
  size_t size() const { return waiting_.size() + (in_flight_.has_value() ? 1 : 0); }
  const worker::v1::ConnectResponse& Next() const { return waiting_.front().command; }  // only where one waits
  const worker::v1::ConnectResponse& Last() const { return waiting_.back().command; }   // the same
  bool IsBusy() const { return in_flight_.has_value(); }
  // The one under way; null when there is none.
  Entry* InFlight() { return in_flight_.has_value() ? &*in_flight_ : nullptr; }

  // The next to send; none when nothing waits or one is under way.
  std::optional<worker::v1::ConnectResponse> SendNext() {
    if (in_flight_.has_value() || waiting_.empty()) return std::nullopt;
    in_flight_ = Take(waiting_.begin());
    return std::move(in_flight_->command);
  }

  // The answer to `request`, or the end of whatever is under way; empty when it is not that.
  std::optional<Entry> TakeInFlight(std::optional<int64_t> request = std::nullopt) {
    if (!in_flight_.has_value() || (request.has_value() && in_flight_->id != *request)) return std::nullopt;
    return std::exchange(in_flight_, std::nullopt);
  }

  // The first that waits of those that `which` says; null when there is none.
  template <typename Which>
  const Entry* FindWaiting(Which which) const {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Entry& entry) { return which(entry.command); });
    return found == waiting_.end() ? nullptr : &*found;
  }
  // Empty when it does not wait.
  std::optional<Entry> TakeWaiting(int64_t request) {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Entry& entry) { return entry.id == request; });
    if (found == waiting_.end()) return std::nullopt;
    return Take(found);
  }
  // Those that waited too long. The one under way is judged by InFlightDeadline.
  std::vector<Entry> TakeExpired(absl::Time now) {
    std::vector<Entry> expired;
    while (!waiting_.empty() && waiting_.front().deadline <= now) expired.push_back(Take(waiting_.begin()));
    return expired;
  }
  std::vector<Entry> TakeAll() {
    std::vector<Entry> all;
    if (in_flight_.has_value()) all.push_back(*std::exchange(in_flight_, std::nullopt));
    while (!waiting_.empty()) all.push_back(Take(waiting_.begin()));
    return all;
  }

  absl::Time InFlightDeadline() const { return in_flight_.has_value() ? in_flight_->deadline : absl::InfiniteFuture(); }
  absl::Time WaitingDeadline() const { return waiting_.empty() ? absl::InfiniteFuture() : waiting_.front().deadline; }

 private:
  static size_t SizeOf(const Entry& entry) { return entry.command.ByteSizeLong(); }
  Entry Take(std::deque<Entry>::iterator at) {
    --budget_->waiting;
    budget_->bytes -= SizeOf(*at);
    Entry taken = std::move(*at);
    waiting_.erase(at);
    return taken;
  }

  const char* const what_;
  std::shared_ptr<Budget> budget_;
  int64_t last_request_ = 0;
  std::deque<Entry> waiting_;
  std::optional<Entry> in_flight_;
};

}  // namespace attune::workers
