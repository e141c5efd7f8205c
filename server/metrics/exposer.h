// MetricsExposer: serves a registry at http://ADDRESS/metrics in Prometheus' text format, from two threads of its own. Owned by main.
// Thread-safe. Errors: UNAVAILABLE when the address cannot be listened on.
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   ATTUNE_ASSIGN_OR_RETURN(auto exposer, MetricsExposer::Start("127.0.0.1:9464", registry));
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"

namespace attune::metrics {

class MetricsExposer {
 public:
  // HOST:PORT; port 0 takes a free one. The exposer keeps `registry` alive.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Start(const std::string& address,
                                                               std::shared_ptr<prometheus::Collectable> registry);
  int port() const { return port_; }

 private:
  MetricsExposer(std::shared_ptr<prometheus::Collectable> registry, std::unique_ptr<prometheus::Exposer> exposer,
                 int port);
  std::shared_ptr<prometheus::Collectable> registry_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  const int port_;
};

}  // namespace attune::metrics
