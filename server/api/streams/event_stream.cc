#include "server/api/streams/event_stream.h"

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "grpcpp/alarm.h"
#include "server/api/grpc_status.h"
#include "server/api/streams/refusal.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"

namespace attune::api {
namespace {

using Bytes = std::shared_ptr<const std::string>;
using SteadyClock = std::chrono::steady_clock;

// A buffer over the shared bytes; the last one to let go frees them.
grpc::ByteBuffer ShareBytes(const Bytes& bytes) {
  auto* owner = new Bytes(bytes);
  grpc::Slice slice(const_cast<char*>(bytes->data()), bytes->size(), [](void* user_data) { delete static_cast<Bytes*>(user_data); },
                    owner);
  return grpc::ByteBuffer(&slice, 1);
}

Bytes Serialize(const v1::WatchFineTuningJobResponse& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

const Bytes& HeartbeatBytes() {
  static const Bytes bytes = [] {
    v1::WatchFineTuningJobResponse message;
    message.mutable_heartbeat();
    return Serialize(message);
  }();
  return bytes;
}

// Empty where the job is not there.
Bytes WaitingBytes(scheduler::Scheduler& scheduler, const std::string& name) {
  absl::StatusOr<v1::FineTuningJob> job = scheduler.GetJob(name);
  if (!job.ok() || job->state() != v1::FineTuningJob::STATE_QUEUED) return nullptr;
  v1::WatchFineTuningJobResponse message;
  *message.mutable_waiting() = *std::move(job);
  return Serialize(message);
}

Bytes LaggedBytes(int64_t dropped) {
  v1::WatchFineTuningJobResponse message;
  message.mutable_lagged()->set_dropped(dropped);
  return Serialize(message);
}

}  // namespace

// One watch. Three things can go on, one at a time: a take (on the pool, as it may read the store), a write, or waiting for a wake-up. Advance() decides
// what comes next, whoever was there last. The object goes when gRPC, the pool and the alarm have all let go of it.
class EventStreams::Stream final : public Reactor, public std::enable_shared_from_this<EventStreams::Stream> {
 public:
  Stream(EventStreams& owner, v1::WatchFineTuningJobRequest request, auth::QuotaLease lease) : owner_(owner), request_(std::move(request)), lease_(std::move(lease)) {}

  void Begin() {
    self_ = shared_from_this();
    absl::MutexLock lock(&mutex_);
    taking_ = true;
    absl::Status admitted = owner_.pool_.TryRun([self = self_] { self->Take(); });
    if (!admitted.ok()) {
      taking_ = false;
      EndWith(admitted);
      return;
    }
    Arm(owner_.options_.heartbeat_interval);
  }

  void End(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    EndWith(status);
  }

  const std::string& job() const { return request_.name(); }

  // Tells the watcher unless it knows. `bytes` makes the message, where one is needed.
  void OfferWaiting(int64_t version, const std::function<Bytes()>& bytes) {
    absl::MutexLock lock(&mutex_);
    if (!watching_ || version == waiting_version_ || finished_ || end_.has_value()) return;
    waiting_ = bytes();
    if (waiting_ == nullptr) return;
    waiting_version_ = version;
    Advance();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    last_write_ = SteadyClock::now();
    if (!ok) return EndWith(absl::CancelledError("the watcher left"));
    if (wrote_terminal_) return EndWith(absl::OkStatus());
    Advance();
  }

  void OnCancel() override { End(absl::CancelledError("the watcher left")); }

  void OnDone() override {
    // Without the lock: unsubscribing waits for a wake-up that is running, and that takes the lock. No take runs, as nothing finishes before it.
    subscription_.reset();
    owner_.Remove(this);
    std::shared_ptr<Stream> last = std::move(self_);
  }

 private:
  struct Outgoing {
    Bytes bytes;
    bool terminal = false;
  };

  // On the event log's thread.
  void Wake() {
    absl::MutexLock lock(&mutex_);
    woken_ = true;
    Advance();
  }

  // On the pool.
  void Take() {
    absl::Status status = subscription_ == nullptr ? Subscribe() : absl::OkStatus();
    absl::StatusOr<std::vector<jobs::EventSubscription::Item>> items = std::vector<jobs::EventSubscription::Item>();
    if (status.ok()) items = subscription_->Take(owner_.options_.events_at_once);
    absl::MutexLock lock(&mutex_);
    taking_ = false;
    if (!status.ok()) return EndWith(status);
    if (!items.ok()) return EndWith(items.status());
    for (const auto& item : *items) Enqueue(item);
    if (!watching_) {
      watching_ = true;
      waiting_version_ = owner_.scheduler_.WaitingVersion(request_.name());
      if (waiting_version_ != 0) waiting_ = WaitingBytes(owner_.scheduler_, request_.name());
    }
    if (!items->empty()) {
      woken_ = true;  // there may be more
    } else if (subscription_->Ended()) {
      return EndWith(absl::OkStatus());
    }
    Advance();
  }

  absl::Status Subscribe() {
    RequestCheck check;
    check.Name("name", request_.name(), "fineTuningJobs");
    if (request_.after_sequence() < 0) check.Violate("after_sequence", "is negative; use 0 to watch from the beginning");
    ATTUNE_RETURN_IF_ERROR(check.status());
    ATTUNE_RETURN_IF_ERROR(owner_.scheduler_.GetJob(request_.name()).status());
    ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(request_.name(), "fineTuningJobs"));
    ATTUNE_ASSIGN_OR_RETURN(subscription_, owner_.log_.Subscribe(id, request_.after_sequence(), [this] { Wake(); }));
    return absl::OkStatus();
  }

  void Enqueue(const jobs::EventSubscription::Item& item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (item.dropped > 0) outbox_.push_back({.bytes = LaggedBytes(item.dropped)});
    if (item.event.bytes != nullptr) outbox_.push_back({.bytes = item.event.bytes, .terminal = item.event.terminal});
  }

  void EndWith(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!end_.has_value()) end_ = std::move(status);
    Advance();
  }

  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || taking_ || writing_) return;
    if (end_.has_value()) {
      finished_ = true;
      if (alarm_ != nullptr) alarm_->Cancel();
      Finish(ToGrpcStatus(*end_));
    } else if (!outbox_.empty()) {
      Outgoing next = std::move(outbox_.front());
      outbox_.pop_front();
      wrote_terminal_ = next.terminal;
      Write(next.bytes);
    } else if (woken_) {
      woken_ = false;
      taking_ = true;
      owner_.pool_.Run([self = shared_from_this()] { self->Take(); });
    } else if (waiting_ != nullptr && owner_.scheduler_.WaitingVersion(request_.name()) == waiting_version_) {
      // Nothing of what has been written says more: a job stops waiting before anybody gets the event.
      Write(std::exchange(waiting_, nullptr));
    } else if (heartbeat_due_) {
      Write(HeartbeatBytes());
    }
  }

  void Write(const Bytes& bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    heartbeat_due_ = false;
    buffer_ = ShareBytes(bytes);
    grpc::WriteOptions options;
    // More follows at once: one packet for all. Never the first message, which takes the headers along: gRPC would hold both back, and report the write
    // done when the headers are out.
    if (!outbox_.empty() && wrote_) options.set_buffer_hint();
    wrote_ = true;
    StartWrite(&buffer_, options);
  }

  // One alarm for a whole interval, however many events pass: when it fires it looks how long the silence has been.
  void Arm(absl::Duration after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(after),
                [self = shared_from_this()](bool fired) { self->OnAlarm(fired); });
  }

  void OnAlarm(bool fired) {
    absl::MutexLock lock(&mutex_);
    alarm_.reset();  // it holds this callback, and with it this object
    if (!fired || finished_) return;
    absl::Duration silence = absl::FromChrono(SteadyClock::now() - last_write_);
    absl::Duration interval = owner_.options_.heartbeat_interval;
    if (silence < interval) return Arm(interval - silence);
    heartbeat_due_ = true;
    Advance();
    if (!finished_) Arm(interval);
  }

  EventStreams& owner_;
  const v1::WatchFineTuningJobRequest request_;
  const auth::QuotaLease lease_;
  std::shared_ptr<Stream> self_;  // gRPC's share; set before gRPC knows the object, taken by OnDone
  std::unique_ptr<jobs::EventSubscription> subscription_;  // touched by takes, and by OnDone when there are none
  absl::Mutex mutex_;
  std::deque<Outgoing> outbox_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer buffer_ ABSL_GUARDED_BY(mutex_);  // what is being written
  bool taking_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool wrote_ ABSL_GUARDED_BY(mutex_) = false;  // anything at all
  bool wrote_terminal_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool heartbeat_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool watching_ ABSL_GUARDED_BY(mutex_) = false;              // it has subscribed
  int64_t waiting_version_ ABSL_GUARDED_BY(mutex_) = 0;        // of what was said of the job's waiting
  Bytes waiting_ ABSL_GUARDED_BY(mutex_);                      // the same, while it has not been written
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);  // how the watch will end
  SteadyClock::time_point last_write_ ABSL_GUARDED_BY(mutex_) = SteadyClock::now();
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

EventStreams::EventStreams(jobs::JobEventLog& log, scheduler::Scheduler& scheduler, BlockingPool& pool, EventStreamOptions options)
    : log_(log), scheduler_(scheduler), pool_(pool), options_(options) {}

EventStreams::~EventStreams() {
  absl::MutexLock lock(&mutex_);
  if (ticker_ != nullptr) ticker_->Cancel();
  auto still = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ticker_ == nullptr; };
  mutex_.Await(absl::Condition(&still));
}

void EventStreams::ArmTicker() {
  ticker_ = std::make_unique<grpc::Alarm>();
  ticker_->Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(options_.waiting_interval), [this](bool fired) { OnTick(fired); });
}

void EventStreams::OnTick(bool fired) {
  absl::MutexLock lock(&mutex_);
  ticker_ = nullptr;
  if (!fired || streams_.empty()) return;
  std::unordered_map<std::string, Bytes> messages;
  for (Stream* stream : streams_) {
    const int64_t version = scheduler_.WaitingVersion(stream->job());
    if (version == 0) continue;
    stream->OfferWaiting(version, [&] {
      Bytes& bytes = messages[stream->job()];
      if (bytes == nullptr) bytes = WaitingBytes(scheduler_, stream->job());
      return bytes;
    });
  }
  ArmTicker();
}

EventStreams::Reactor* EventStreams::Refuse(const absl::Status& status) { return new Refusal<grpc::ByteBuffer>(status); }

EventStreams::Reactor* EventStreams::Watch(const v1::WatchFineTuningJobRequest& request, auth::QuotaLease lease) {
  auto stream = std::make_shared<Stream>(*this, request, std::move(lease));
  stream->Begin();
  absl::MutexLock lock(&mutex_);
  streams_.insert(stream.get());
  if (ticker_ == nullptr) ArmTicker();
  if (!ended_.ok()) stream->End(ended_);
  return stream.get();  // it holds itself until OnDone, which cannot come before gRPC has it
}

void EventStreams::EndAll(const absl::Status& status) {
  // A stream leaves the set before it goes, so those in it are alive while the lock is held.
  absl::MutexLock lock(&mutex_);
  ended_ = status;
  for (Stream* stream : streams_) stream->End(status);
}

int EventStreams::active() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(streams_.size());
}

void EventStreams::Remove(Stream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

}  // namespace attune::api
