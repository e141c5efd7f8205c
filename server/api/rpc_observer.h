// RpcObserver: logging and metrics of every call, in one place: an interceptor that gRPC runs around all methods, so that none can forget it.
// Owned by gRPC's server once registered. Thread-safe.
//
// attune_rpc_total{method, code}, attune_rpc_active{method}, attune_rpc_seconds{method} (unary methods: a watch lasts as long as its job). Each
// call is a log line at debug; one that fails by the server's own fault (INTERNAL, UNKNOWN) at error, one with DATA_LOSS at warning.
//
//   std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
//   interceptors.push_back(std::make_unique<RpcObserver>(registry));
//   builder.experimental().SetInterceptorCreators(std::move(interceptors));
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_interceptor.h"
#include "grpcpp/support/status.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace attune::api {

struct RpcMetrics {
  explicit RpcMetrics(prometheus::Registry& registry);
  prometheus::Family<prometheus::Counter>& calls;
  prometheus::Family<prometheus::Gauge>& active;
  prometheus::Family<prometheus::Histogram>& seconds;
};

class RpcObserver final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // `registry` must outlive the server.
  explicit RpcObserver(prometheus::Registry& registry);
  // Waits for calls that are still ending.
  ~RpcObserver() override;
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  class Observation;
  class Method;
  Method& BeginCall(std::string_view path, bool unary);
  void EndCall();

  RpcMetrics metrics_;
  absl::Mutex mutex_;
  int64_t open_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_ ABSL_GUARDED_BY(mutex_);
};

// "NOT_FOUND" and so on.
std::string_view CodeName(grpc::StatusCode code);

}  // namespace attune::api
