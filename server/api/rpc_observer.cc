#include "server/api/rpc_observer.h"

#include <chrono>
#include <utility>

#include "grpcpp/server_context.h"
#include "server/base/log.h"
#include "server/api/call_trace.h"
#include "server/base/str_cat.h"
#include "server/base/trace_context.h"
#include "server/metrics/metric_names.h"

namespace attune::api {
namespace {

using grpc::experimental::InterceptionHookPoints;
using SteadyClock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 17> kCodeNames = {
    "OK",          "CANCELLED",           "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL",           "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

// What an operator should see: faults of ours, and content that is not what it was (ours, or a client's wrong hash).
LogLevel LevelOf(grpc::StatusCode code) {
  if (code == grpc::StatusCode::INTERNAL || code == grpc::StatusCode::UNKNOWN) return LogLevel::kError;
  return code == grpc::StatusCode::DATA_LOSS ? LogLevel::kWarning : LogLevel::kDebug;
}

}  // namespace

std::string_view CodeName(grpc::StatusCode code) {
  auto index = static_cast<size_t>(code);
  return index < kCodeNames.size() ? kCodeNames[index] : "UNKNOWN";
}

RpcMetrics::RpcMetrics(prometheus::Registry& registry)
    : calls(prometheus::BuildCounter().Name("attune_rpc_total").Help("Calls that ended, by status code.").Register(registry)),
      active(prometheus::BuildGauge().Name("attune_rpc_active").Help("Calls that are going on.").Register(registry)),
      seconds(prometheus::BuildHistogram()
                  .Name("attune_rpc_seconds")
                  .Help("Time from a unary call's arrival to its end.")
                  .Register(registry)) {}

// One method's metrics, looked up in the families once: those lock and compare label maps.
class RpcObserver::Method {
 public:
  Method(RpcMetrics& metrics, std::string name, bool unary)
      : name(std::move(name)),
        active(metrics.active.Add({{"method", this->name}})),
        seconds(unary ? &metrics.seconds.Add({{"method", this->name}}, metrics::SecondsBuckets()) : nullptr),
        calls_(metrics.calls) {
    // Prometheus sees an increase only of series that were there before: those that alerts look at are.
    for (const grpc::StatusCode code : {grpc::StatusCode::OK, grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN, grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::DATA_LOSS}) Calls(code);
  }

  prometheus::Counter& Calls(grpc::StatusCode code) {
    std::string_view text = CodeName(code);
    absl::MutexLock lock(&mutex_);
    prometheus::Counter*& counter = counters_[text];
    if (counter == nullptr) counter = &calls_.Add({{"method", name}, {"code", std::string(text)}});
    return *counter;
  }

  const std::string name;
  prometheus::Gauge& active;
  prometheus::Histogram* const seconds;  // null for streams

 private:
  prometheus::Family<prometheus::Counter>& calls_;
  absl::Mutex mutex_;
  std::map<std::string_view, prometheus::Counter*> counters_ ABSL_GUARDED_BY(mutex_);
};

// Lives as long as the call's context. A call whose status was never sent was cut.
class RpcObserver::Observation final : public grpc::experimental::Interceptor {
 public:
  Observation(RpcObserver& observer, grpc::experimental::ServerRpcInfo* info)
      : observer_(observer),
        method_(observer.BeginCall(info->method(), info->type() == grpc::experimental::ServerRpcInfo::Type::UNARY)),
        info_(info) {
    method_.active.Increment();
  }

  ~Observation() override {
    {
      absl::MutexLock lock(&mutex_);
      Report();
    }
    observer_.EndCall();
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      absl::MutexLock lock(&mutex_);
      trace_id_ = TraceIdOfCall(*batch->GetRecvInitialMetadata());
    }
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      absl::MutexLock lock(&mutex_);
      status_ = batch->GetSendStatus();
      if (!status_.ok()) peer_ = info_->server_context()->peer();
    }
    batch->Proceed();
  }

 private:
  void Report() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    method_.active.Decrement();
    method_.Calls(status_.error_code()).Increment();
    double seconds = std::chrono::duration<double>(SteadyClock::now() - start_).count();
    if (method_.seconds != nullptr) method_.seconds->Observe(seconds);
    const TraceScope trace(trace_id_);
    Log(LevelOf(status_.error_code()), "rpc",
        {{"method", method_.name}, {"code", CodeName(status_.error_code())}, {"seconds", seconds}, {"error", status_.error_message()},
         {"peer", peer_}});
  }

  RpcObserver& observer_;
  Method& method_;
  grpc::experimental::ServerRpcInfo* const info_;
  const SteadyClock::time_point start_ = SteadyClock::now();
  absl::Mutex mutex_;  // gRPC calls the hook and the destructor from different threads
  grpc::Status status_ ABSL_GUARDED_BY(mutex_) = grpc::Status(grpc::StatusCode::CANCELLED, "the call was cut");
  std::string peer_ ABSL_GUARDED_BY(mutex_);  // only of calls that fail
  std::string trace_id_ ABSL_GUARDED_BY(mutex_);
};

RpcObserver::RpcObserver(prometheus::Registry& registry) : metrics_(registry) {}

RpcObserver::~RpcObserver() {
  const auto none_is_open = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return open_calls_ == 0; };
  absl::MutexLock lock(&mutex_, absl::Condition(&none_is_open));
}

grpc::experimental::Interceptor* RpcObserver::CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) {
  return new Observation(*this, info);
}

RpcObserver::Method& RpcObserver::BeginCall(std::string_view path, bool unary) {
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  absl::MutexLock lock(&mutex_);
  ++open_calls_;
  auto found = methods_.find(path);
  if (found == methods_.end()) {
    found = methods_.emplace(path, std::make_unique<Method>(metrics_, std::string(path), unary)).first;
  }
  return *found->second;
}

void RpcObserver::EndCall() {
  absl::MutexLock lock(&mutex_);
  --open_calls_;
}

}  // namespace attune::api
