#include "server/metrics/gpu/nvml.h"

#include <dlfcn.h>

#include <utility>

namespace attune::metrics {
namespace {

using Device = void*;
constexpr int kSuccess = 0;
constexpr unsigned kTemperatureOfChip = 0;
constexpr unsigned kNameBytes = 96;

struct Utilisation {
  unsigned gpu, memory;  // percent
};

struct Memory {
  unsigned long long total, free, used;  // NOLINT(google-runtime-int): as the library has it
};

}  // namespace

struct Nvml::Functions {
  int (*init)();
  int (*shutdown)();
  int (*device_count)(unsigned*);
  int (*device_by_index)(unsigned, Device*);
  int (*name)(Device, char*, unsigned);
  int (*utilisation)(Device, Utilisation*);
  int (*memory)(Device, Memory*);
  int (*temperature)(Device, unsigned, unsigned*);
  int (*power)(Device, unsigned*);  // milliwatts

  bool Find(void* handle) {
    const auto find = [handle](const char* symbol, auto& function) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, symbol));
      return function != nullptr;
    };
    return find("nvmlInit_v2", init) && find("nvmlShutdown", shutdown) && find("nvmlDeviceGetCount_v2", device_count) && find("nvmlDeviceGetHandleByIndex_v2", device_by_index) &&
           find("nvmlDeviceGetName", name) && find("nvmlDeviceGetUtilizationRates", utilisation) && find("nvmlDeviceGetMemoryInfo", memory) &&
           find("nvmlDeviceGetTemperature", temperature) && find("nvmlDeviceGetPowerUsage", power);
  }
};

std::unique_ptr<Nvml> Nvml::Load(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return nullptr;
  auto functions = std::make_unique<Functions>();
  if (!functions->Find(handle) || functions->init() != kSuccess) {
    dlclose(handle);
    return nullptr;
  }
  return std::unique_ptr<Nvml>(new Nvml(handle, std::move(functions)));
}

Nvml::Nvml(void* handle, std::unique_ptr<Functions> functions) : handle_(handle), functions_(std::move(functions)) {}

Nvml::~Nvml() {
  functions_->shutdown();
  dlclose(handle_);
}

std::vector<GpuReading> Nvml::Read() const {
  std::vector<GpuReading> readings;
  unsigned count = 0;
  if (functions_->device_count(&count) != kSuccess) return readings;
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    if (functions_->device_by_index(i, &device) != kSuccess) continue;  // lost: the others still say how they are
    GpuReading& reading = readings.emplace_back();
    reading.index = static_cast<int>(i);
    char name[kNameBytes] = "";
    if (functions_->name(device, name, sizeof(name)) == kSuccess) reading.name = name;
    if (Utilisation use; functions_->utilisation(device, &use) == kSuccess) reading.utilisation = use.gpu / 100.0;
    if (Memory memory; functions_->memory(device, &memory) == kSuccess) {
      reading.memory_used_bytes = static_cast<double>(memory.used);
      reading.memory_bytes = static_cast<double>(memory.total);
    }
    if (unsigned celsius; functions_->temperature(device, kTemperatureOfChip, &celsius) == kSuccess) reading.temperature_celsius = celsius;
    if (unsigned milliwatts; functions_->power(device, &milliwatts) == kSuccess) reading.power_watts = milliwatts / 1000.0;
  }
  return readings;
}

}  // namespace attune::metrics
