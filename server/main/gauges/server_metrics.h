// ServerMetrics: what runs, and whether it is ready. Owned by main. Thread-safe.
#pragma once

#include <string>

#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace attune {

struct ServerMetrics {
  ServerMetrics(prometheus::Registry& registry, const std::string& version, const std::string& libtorch_version)
      : ready(prometheus::BuildGauge()
                  .Name("attune_ready")
                  .Help("1 while the job store commits and the data directory's disk has room, 0 otherwise and while the server drains.")
                  .Register(registry)
                  .Add({})) {
    ready.Set(1);
    prometheus::BuildGauge()
        .Name("attune_build_info")
        .Help("1; what is running is in the labels.")
        .Register(registry)
        .Add({{"version", version}, {"libtorch_version", libtorch_version}})
        .Set(1);
  }

  prometheus::Gauge& ready;
};

}  // namespace attune
