#include "server/metrics/gpu/gpu_gauges.h"

#include "server/base/str_cat.h"
#include "server/metrics/gauges.h"

namespace attune::metrics {

std::vector<prometheus::MetricFamily> GpuGauges::Collect() const {
  struct Figure {
    const char* name;
    const char* help;
    std::optional<double> GpuReading::* value;
  };
  static constexpr Figure kFigures[] = {
      {"attune_gpu_utilisation_ratio", "Share of time in which a kernel ran on the GPU.", &GpuReading::utilisation},
      {"attune_gpu_memory_used_bytes", "GPU memory in use, by anybody.", &GpuReading::memory_used_bytes},
      {"attune_gpu_memory_bytes", "GPU memory.", &GpuReading::memory_bytes},
      {"attune_gpu_temperature_celsius", "Temperature of the GPU's chip.", &GpuReading::temperature_celsius},
      {"attune_gpu_power_watts", "Power that the GPU's board draws.", &GpuReading::power_watts},
  };
  const std::vector<GpuReading> readings = nvml_->Read();
  std::vector<prometheus::MetricFamily> families;
  for (const Figure& figure : kFigures) {
    prometheus::MetricFamily family = GaugeFamily(figure.name, figure.help);
    for (const GpuReading& reading : readings) {
      if (const std::optional<double>& value = reading.*figure.value) AddGauge(family, *value, {{"gpu", StrCat(reading.index)}, {"name", reading.name}});
    }
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  return families;
}

}  // namespace attune::metrics
