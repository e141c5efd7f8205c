// Nvml: what NVIDIA's management library says of GPUs. Loaded when the program runs, so that it starts without one. Thread-safe, as the library is.
// Source: https://docs.nvidia.com/deploy/nvml-api (names and layouts as in nvml.h of driver 450 and later).
//
//   std::unique_ptr<Nvml> nvml = Nvml::Load();        // null where there is no library, or no GPU that it can speak to
//   for (const GpuReading& gpu : nvml->Read()) ...
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace attune::metrics {

// A value that the GPU does not tell is absent.
struct GpuReading {
  int index = 0;
  std::string name;                          // "NVIDIA H200"
  std::optional<double> utilisation;         // share of time in the last sample period in which a kernel ran, 0 to 1
  std::optional<double> memory_used_bytes, memory_bytes;
  std::optional<double> temperature_celsius, power_watts;
};

class Nvml {
 public:
  static std::unique_ptr<Nvml> Load(const std::string& library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::vector<GpuReading> Read() const;

 private:
  struct Functions;
  Nvml(void* handle, std::unique_ptr<Functions> functions);
  void* const handle_;
  const std::unique_ptr<Functions> functions_;
};

}  // namespace attune::metrics
