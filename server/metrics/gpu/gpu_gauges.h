// GpuGauges: attune_gpu_*, asked of NVML at each scrape; label gpu is NVML's index. Thread-safe.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/metrics/gpu/nvml.h"

namespace attune::metrics {

class GpuGauges final : public prometheus::Collectable {
 public:
  explicit GpuGauges(std::unique_ptr<Nvml> nvml) : nvml_(std::move(nvml)) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::unique_ptr<Nvml> nvml_;
};

}  // namespace attune::metrics
