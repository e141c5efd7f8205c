// OpenStreams: ends streams whose API token has been revoked since they began: the gate asks when a call begins, and a watch may stay open for days. Owned by main, which calls EndRevoked every few seconds;
// the token store, the registry and this object must outlive the gRPC server. Thread-safe; waits for nothing.
//
// What has only expired ends no stream: an evaluation or a backup may take longer than a JWT lasts, and could never be completed. A stream that is ended gets UNAUTHENTICATED, as a new call would.
// attune_auth_ended_streams_total counts.
//
//   OpenStreams streams([&](const std::string& token) { return tokens.CheckRevoked(token); }, registry);
//   interceptors.push_back(streams.MakeInterceptorFactory());
//   PeriodicTask check(absl::Seconds(5), [&] { streams.EndRevoked(); });
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "prometheus/counter.h"
#include "prometheus/registry.h"

namespace attune::auth {

struct StreamMetrics {
  explicit StreamMetrics(prometheus::Registry& registry)
      : ended(prometheus::BuildCounter().Name("attune_auth_ended_streams_total").Help("Streams that were ended because their API token was revoked.").Register(registry).Add({})) {}
  prometheus::Counter& ended;
};

class OpenStreams {
 public:
  // Says why a bearer token is no longer good; OK for those that are, and for what is no API token. Leaves no trace of having been asked.
  using RevocationCheck = std::function<absl::Status(const std::string& bearer_token)>;

  // The registry must outlive this object.
  OpenStreams(RevocationCheck check, prometheus::Registry& registry) : check_(std::move(check)), metrics_(registry) {}

  // Of one gRPC server, all of whose services have callbacks.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptorFactory();

  // Returns how many it ended.
  int EndRevoked();

 private:
  class Factory;
  class Interceptor;
  struct Stream;

  uint64_t Add(std::shared_ptr<Stream> stream);
  void Remove(uint64_t number);

  const RevocationCheck check_;
  StreamMetrics metrics_;
  absl::Mutex mutex_;
  uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::shared_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::auth
