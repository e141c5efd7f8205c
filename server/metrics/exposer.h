// MetricsExposer: serves registries (and other collectables) at http://ADDRESS/metrics in Prometheus' text format, from two threads of its own. Owned by main.
// Thread-safe. Errors: UNAVAILABLE when the address cannot be listened on.
//
//   auto registry = std::make_shared<prometheus::Registry>();
//   ATTUNE_ASSIGN_OR_RETURN(auto exposer, MetricsExposer::Start("127.0.0.1:9464", {registry}));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"

namespace attune::metrics {

class MetricsExposer {
 public:
  using Sources = std::vector<std::shared_ptr<prometheus::Collectable>>;
  // HOST:PORT; port 0 takes a free one. The exposer keeps the sources alive.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Start(const std::string& address, Sources sources);
  int port() const { return port_; }

 private:
  MetricsExposer(Sources sources, std::unique_ptr<prometheus::Exposer> exposer, int port);
  const Sources sources_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  const int port_;
};

}  // namespace attune::metrics
