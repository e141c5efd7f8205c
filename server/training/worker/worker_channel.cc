#include "server/training/worker/worker_channel.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "attune/worker/v1/worker.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "server/base/fault_point.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/training/worker/convert.h"
#include "server/training/worker/process_guard.h"

namespace attune::training {
namespace {

using worker::v1::ConnectRequest;
using worker::v1::ConnectResponse;

constexpr size_t kMaxQueuedMetrics = 20000;  // some minutes of a fast job
constexpr absl::Duration kProgressInterval = absl::Milliseconds(200);

}  // namespace

class WorkerChannel::State {
 public:
  explicit State(WorkerChannelOptions options) : options_(std::move(options)) {}

  absl::Status Open() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    auto channel = grpc::CreateCustomChannel(options_.server, grpc::InsecureChannelCredentials(), arguments);
    if (!channel->WaitForConnected(absl::ToChronoTime(absl::Now() + options_.connect_timeout))) {
      return absl::UnavailableError(StrCat("no server answers at ", options_.server, "; workers are started by attune-server"));
    }
    stub_ = worker::v1::WorkerService::NewStub(channel);
    stream_ = stub_->Connect(&context_);
    ConnectRequest hello;
    hello.mutable_hello()->set_worker_id(options_.worker_id);
    hello.mutable_hello()->set_secret(options_.secret);
    hello.mutable_hello()->set_pid(getpid());
    if (!stream_->Write(hello)) {
      const grpc::Status status = stream_->Finish();
      return absl::UnavailableError(StrCat("the server at ", options_.server, " refused this worker: ", status.error_message()));
    }
    control_ = std::thread([this] { Receive(); });
    sender_ = std::thread([this] { SendQueued(); });
    return absl::OkStatus();
  }

  Command NextCommand() {
    absl::MutexLock lock(&mutex_);
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !commands_.empty() || shutdown_; };
    mutex_.Await(absl::Condition(&ready));
    if (commands_.empty() || shutdown_) return ShutdownCommand{};
    Command command = std::move(commands_.front());
    commands_.pop_front();
    return command;
  }

  StopRequest Stop(const AttemptFence& attempt) const {
    // Asked before each micro-step: no lock unless something is the matter.
    if (!stop_hint_.load(std::memory_order_acquire)) return StopRequest::kNone;
    absl::MutexLock lock(&mutex_);
    if (cancelled_.has_value() && *cancelled_ == attempt) return StopRequest::kCancel;
    return shutdown_ ? StopRequest::kPreempt : StopRequest::kNone;
  }

  std::optional<LiveSettings> NewSettings(const AttemptFence& attempt) {
    if (!settings_hint_.load(std::memory_order_acquire)) return std::nullopt;
    absl::MutexLock lock(&mutex_);
    if (!settings_.has_value() || settings_->first != attempt) return std::nullopt;
    settings_hint_.store(false, std::memory_order_release);
    return std::exchange(settings_, std::nullopt)->second;
  }

  bool StopsRequest(int64_t request) const {
    if (!stop_hint_.load(std::memory_order_acquire)) return false;
    absl::MutexLock lock(&mutex_);
    return shutdown_ || cancelled_request_ == request;
  }

  // Whether enough time has passed since the last progress of an evaluation. The training thread alone.
  bool EvaluationProgressIsDue() {
    const absl::Time now = absl::Now();
    if (now - last_evaluation_progress_ < kProgressInterval) return false;
    last_evaluation_progress_ = now;
    return true;
  }

  void Enqueue(ConnectRequest message) {
    absl::MutexLock lock(&mutex_);
    if (closing_) return;
    if (message.has_progress() && !queue_.empty()) {
      for (auto it = queue_.rbegin(); it != queue_.rend() && !it->has_started(); ++it) {
        if (!it->has_progress()) continue;
        *it = std::move(message);
        return;
      }
    }
    if (message.has_metrics() && queue_.size() > kMaxQueuedMetrics) return;
    queue_.push_back(std::move(message));
  }

  void SetStep(int64_t step) { step_.store(step, std::memory_order_relaxed); }

  void Close(absl::Duration timeout) {
    {
      absl::MutexLock lock(&mutex_);
      closing_ = true;
      auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_; };
      if (control_.joinable() && !mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) context_.TryCancel();
    }
    if (sender_.joinable()) sender_.join();
    if (control_.joinable()) control_.join();
  }

 private:
  // The control thread.
  void Receive() {
    ConnectResponse message;
    while (stream_->Read(&message)) Handle(message);
    bool lost = false;
    {
      absl::MutexLock lock(&mutex_);
      lost = !closing_;
      closing_ = true;
      shutdown_ = true;
      read_ended_ = true;
      // Finish must not run beside a Write; those fail at once now.
      mutex_.Await(absl::Condition(&sender_done_));
    }
    const grpc::Status status = stream_->Finish();
    {
      absl::MutexLock lock(&mutex_);
      ended_ = true;
    }
    if (!lost) return;
    Log(LogLevel::kError, "the server ended the stream; this worker exits", {{"worker", options_.worker_id}, {"reason", status.error_message()}});
    if (options_.on_lost) {
      options_.on_lost();
    } else {
      std::_Exit(kExitStreamLost);
    }
  }

  void Handle(const ConnectResponse& message) {
    absl::MutexLock lock(&mutex_);
    switch (message.kind_case()) {
      case ConnectResponse::kAssign:
        commands_.push_back(FromProto(message.assign()));
        break;
      case ConnectResponse::kPredict:
        commands_.push_back(FromProto(message.predict()));
        break;
      case ConnectResponse::kEvaluate:
        commands_.push_back(FromProto(message.evaluate()));
        break;
      case ConnectResponse::kProbe:
        commands_.push_back(FromProto(message.probe()));
        break;
      case ConnectResponse::kCancel:
        if (message.cancel().request() != 0) {
          cancelled_request_ = message.cancel().request();
        } else {
          cancelled_ = FromProto(message.cancel().fence());
        }
        stop_hint_.store(true, std::memory_order_release);
        break;
      case ConnectResponse::kAdjust:
        settings_.emplace(FromProto(message.adjust().fence()), FromProto(message.adjust().live_settings()));
        settings_hint_.store(true, std::memory_order_release);
        break;
      case ConnectResponse::kShutdown:
        shutdown_ = true;
        stop_hint_.store(true, std::memory_order_release);
        break;
      default:
        Log(LogLevel::kWarning, "a command that this worker does not know was ignored; server and worker may be of different versions");
        break;
    }
  }

  // The sending thread.
  void SendQueued() {
    absl::Time next_heartbeat = absl::Now() + options_.heartbeat_interval;
    while (std::optional<ConnectRequest> message = NextMessage(next_heartbeat)) {
      // A broken stream ends the control thread's Read too, and that is where it is dealt with.
      if (message->kind_case() != ConnectRequest::KIND_NOT_SET) {
        FaultPoint("send.before");
        stream_->Write(*message);
        FaultPoint("send.after");
      }
      if (const absl::Time now = absl::Now(); now >= next_heartbeat) {
        SendHeartbeat();
        next_heartbeat = now + options_.heartbeat_interval;
      }
    }
    stream_->WritesDone();
    absl::MutexLock lock(&mutex_);
    sender_done_ = true;
  }

  // The next message, or one of no kind at `deadline`; absent when there will be no more.
  std::optional<ConnectRequest> NextMessage(absl::Time deadline) {
    absl::MutexLock lock(&mutex_);
    auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !queue_.empty() || closing_ || read_ended_; };
    mutex_.AwaitWithDeadline(absl::Condition(&ready), deadline);
    if (read_ended_ || (closing_ && queue_.empty())) return std::nullopt;
    ConnectRequest message;
    if (!queue_.empty()) {
      message = std::move(queue_.front());
      queue_.pop_front();
    }
    return message;
  }

  void SendHeartbeat() {
    ConnectRequest message;
    message.mutable_heartbeat()->set_step(step_.load(std::memory_order_relaxed));
    message.mutable_heartbeat()->set_rss_bytes(ResidentBytes());
    stream_->Write(message);
  }

  const WorkerChannelOptions options_;
  grpc::ClientContext context_;
  std::unique_ptr<worker::v1::WorkerService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<ConnectRequest, ConnectResponse>> stream_;
  std::atomic<int64_t> step_{0};
  std::atomic<bool> stop_hint_{false};
  std::atomic<bool> settings_hint_{false};
  absl::Time last_evaluation_progress_ = absl::InfinitePast();
  mutable absl::Mutex mutex_;
  std::deque<Command> commands_ ABSL_GUARDED_BY(mutex_);
  std::deque<ConnectRequest> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::pair<AttemptFence, LiveSettings>> settings_ ABSL_GUARDED_BY(mutex_);  // that nobody has asked for yet
  std::optional<AttemptFence> cancelled_ ABSL_GUARDED_BY(mutex_);
  int64_t cancelled_request_ ABSL_GUARDED_BY(mutex_) = 0;  // the last of them; one runs at a time
  bool shutdown_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;  // nothing more is queued
  bool read_ended_ ABSL_GUARDED_BY(mutex_) = false;   // the server's side is over
  bool sender_done_ ABSL_GUARDED_BY(mutex_) = false;  // nothing is written any more
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;        // the stream is over
  std::thread control_, sender_;
};

namespace {

template <typename Done>
void SetFailure(Done& done, int64_t request, const FailureReport& failure) {
  done.set_request(request);
  done.set_error(failure.message);
  done.set_code(failure.code);
}

ConnectRequest About(const AttemptFence& attempt) {
  ConnectRequest message;
  *message.mutable_fence() = ToProto(attempt);
  return message;
}

}  // namespace

WorkerChannel::WorkerChannel(std::unique_ptr<State> state) : state_(std::move(state)) {}

WorkerChannel::~WorkerChannel() { Close(); }

absl::StatusOr<std::unique_ptr<WorkerChannel>> WorkerChannel::Connect(WorkerChannelOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (absl::Status status = state->Open(); !status.ok()) return status;
  return std::unique_ptr<WorkerChannel>(new WorkerChannel(std::move(state)));
}

Command WorkerChannel::NextCommand() { return state_->NextCommand(); }
StopRequest WorkerChannel::Stop(const AttemptFence& attempt) const { return state_->Stop(attempt); }
std::optional<LiveSettings> WorkerChannel::NewSettings(const AttemptFence& attempt) { return state_->NewSettings(attempt); }
bool WorkerChannel::StopsRequest(int64_t request) const { return state_->StopsRequest(request); }
void WorkerChannel::SetStep(int64_t step) { state_->SetStep(step); }
void WorkerChannel::Close(absl::Duration timeout) { state_->Close(timeout); }

namespace {

template <typename State, typename Fill>
void Say(State& state, const AttemptFence& attempt, Fill fill) {
  ConnectRequest message = About(attempt);
  fill(message);
  state.Enqueue(std::move(message));
}

}  // namespace

void WorkerChannel::SendStarted(const AttemptFence& attempt, int64_t resumed_from_step, const std::string& device, int threads) {
  ConnectRequest message = About(attempt);
  message.mutable_started()->set_resumed_from_step(resumed_from_step);
  message.mutable_started()->set_device(device);
  message.mutable_started()->set_threads(threads);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::Send(const AttemptFence& attempt, const PhaseReport& report) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_phase_started() = ToProto(report); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const ProgressReport& report) {
  ConnectRequest message = About(attempt);
  *message.mutable_progress() = ToProto(report);
  *message.mutable_work_done() = ToProto(report.work);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::Send(const AttemptFence& attempt, const MetricReport& report) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_metrics() = ToProto(report); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const EvaluationReport& report) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_evaluation() = ToProto(report); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const CheckpointReport& report) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_checkpoint_written() = ToProto(report); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const Adjustment& adjustment) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_adjusted() = ToProto(adjustment); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const JobResult& result) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_finished() = ToProto(result); });
}

void WorkerChannel::Send(const AttemptFence& attempt, const FailureReport& failure) {
  Say(*state_, attempt, [&](ConnectRequest& message) { *message.mutable_failed() = ToProto(failure); });
}

void WorkerChannel::SendLogLine(const AttemptFence& attempt, const std::string& text) {
  Say(*state_, attempt, [&](ConnectRequest& message) { message.mutable_log_line()->set_text(text); });
}

void WorkerChannel::SendPrediction(int64_t request, const std::vector<PredictionOutput>& outputs) {
  ConnectRequest message;
  message.mutable_predict_done()->set_request(request);
  for (const PredictionOutput& output : outputs) *message.mutable_predict_done()->add_predictions() = ToProto(output);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendPrediction(int64_t request, const FailureReport& failure) {
  ConnectRequest message;
  SetFailure(*message.mutable_predict_done(), request, failure);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendEvaluationProgress(int64_t request, int64_t rows_done, int64_t rows_total) {
  if (!state_->EvaluationProgressIsDue()) return;
  ConnectRequest message;
  message.mutable_evaluate_progress()->set_request(request);
  message.mutable_evaluate_progress()->mutable_progress()->set_rows_done(rows_done);
  message.mutable_evaluate_progress()->mutable_progress()->set_rows_total(rows_total);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendEvaluation(int64_t request, const EvaluationOutput& output) {
  ConnectRequest message;
  message.mutable_evaluate_done()->set_request(request);
  *message.mutable_evaluate_done()->mutable_result() = ToProto(output);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendEvaluation(int64_t request, const FailureReport& failure) {
  ConnectRequest message;
  SetFailure(*message.mutable_evaluate_done(), request, failure);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendProbe(int64_t request, const ProbeReport& report) {
  ConnectRequest message;
  message.mutable_probe_done()->set_request(request);
  *message.mutable_probe_done()->mutable_plan() = ToProto(report);
  state_->Enqueue(std::move(message));
}

void WorkerChannel::SendProbe(int64_t request, const FailureReport& failure) {
  ConnectRequest message;
  SetFailure(*message.mutable_probe_done(), request, failure);
  state_->Enqueue(std::move(message));
}

}  // namespace attune::training
