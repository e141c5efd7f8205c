#include "server/training/worker/devices.h"

#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <optional>

#include <ATen/Context.h>
#include <ATen/ops/ones.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/files.h"
#include "server/training/worker/failure.h"

namespace attune::training {
namespace {

bool g_cuda_loaded = false;  // the training thread's alone

// The driver, by hand: it tells about GPUs where LibTorch's CUDA half is not installed.
struct Gpu {
  std::string description;
  int64_t memory_bytes = 0;
};

struct Driver {
  std::vector<Gpu> gpus;
  std::string problem;  // empty when there is at least one
};

template <typename Function>
Function Symbol(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

Driver AskDriver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {{}, "no NVIDIA driver here (libcuda.so.1 was not found)"};
  const auto init = Symbol<int (*)(unsigned)>(library, "cuInit");
  const auto count_of = Symbol<int (*)(int*)>(library, "cuDeviceGetCount");
  const auto get = Symbol<int (*)(int*, int)>(library, "cuDeviceGet");
  const auto name_of = Symbol<int (*)(char*, int, int)>(library, "cuDeviceGetName");
  const auto memory_of = Symbol<int (*)(size_t*, int)>(library, "cuDeviceTotalMem_v2");
  if (init == nullptr || count_of == nullptr || get == nullptr || name_of == nullptr || memory_of == nullptr) {
    return {{}, "libcuda.so.1 is not a working NVIDIA driver"};
  }
  if (const int error = init(0); error != 0) return {{}, absl::StrCat("the NVIDIA driver does not start (cuInit says ", error, "); is the GPU visible to this process?")};
  int count = 0;
  if (count_of(&count) != 0 || count == 0) return {{}, "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)"};
  Driver driver;
  for (int i = 0; i < count; ++i) {
    int handle = 0;
    char name[256] = "";
    size_t memory = 0;
    if (get(&handle, i) != 0 || name_of(name, sizeof(name), handle) != 0 || memory_of(&memory, handle) != 0) continue;
    driver.gpus.push_back({name, static_cast<int64_t>(memory)});
  }
  if (driver.gpus.empty()) driver.problem = "the NVIDIA driver does not describe its GPUs";
  return driver;
}

const Driver& TheDriver() {
  static const Driver& driver = *new Driver(AskDriver());
  return driver;
}

// The folder that libtorch_cpu.so was loaded from.
std::string TorchFolder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&at::globalContext), &info) == 0 || info.dli_fname == nullptr) return "";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

// Empty when CUDA can be used. Tried once.
const std::string& CudaProblem() {
  static const std::string& problem = *new std::string([]() -> std::string {
    if (!TheDriver().problem.empty()) return TheDriver().problem;
    const std::string path = TorchFolder() + "/libtorch_cuda.so";
    if (!FileExists(path)) return "LibTorch was installed for the CPU only; run `make setup CUDA=1`";
    if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* why = dlerror();
      return absl::StrCat("LibTorch's CUDA library does not load (", why != nullptr ? why : "no reason given", "); run `make setup CUDA=1`");
    }
    g_cuda_loaded = true;
    if (!at::globalContext().hasCUDA()) return "LibTorch's CUDA library is loaded but finds no GPU; its CUDA version may be newer than the driver's";
    return "";
  }());
  return problem;
}

// Empty when a kernel runs on it.
std::string GpuProblem(int index) {
  if (!CudaProblem().empty()) return CudaProblem();
  const std::optional<FailureReport> failure = RunGuarded([&] {
    const at::Tensor one = at::ones({1}, at::TensorOptions().device(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index))));
    if (one.item<float>() != 1.0f) throw std::runtime_error("it computes wrong values");
  });
  return failure.has_value() ? failure->message : "";
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "model name")) return line.substr(std::min(line.find(": ") + 2, line.size()));
  }
  return "CPU";
}

// The machine's, or the container's when that is less.
int64_t MemoryBytes() {
  int64_t bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    int64_t limit = 0;
    if (file >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

int32_t CoreCount() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return static_cast<int32_t>(sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

std::vector<DeviceInfo> ListDevices() {
  std::vector<DeviceInfo> devices;
  devices.push_back({"cpu", ProcessorName(), MemoryBytes(), true, "", CoreCount()});
  const Driver& driver = TheDriver();
  if (driver.gpus.empty()) devices.push_back({"cuda", "NVIDIA GPU", 0, false, driver.problem, 0});
  for (size_t i = 0; i < driver.gpus.size(); ++i) {
    const std::string problem = GpuProblem(static_cast<int>(i));
    devices.push_back({absl::StrCat("cuda:", i), driver.gpus[i].description, driver.gpus[i].memory_bytes, problem.empty(), problem, 0});
  }
  return devices;
}

absl::Status PrepareDevice(const std::string& device) {
  if (device == "cpu") return absl::OkStatus();
  int index = 0;
  if (device != "cuda" && !(absl::StartsWith(device, "cuda:") && absl::SimpleAtoi(device.substr(5), &index) && index >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat("device must be cpu, cuda or cuda:N, not \"", device, "\""));
  }
  if (!CudaProblem().empty()) return absl::FailedPreconditionError(absl::StrCat("device ", device, " cannot be used: ", CudaProblem()));
  if (index >= static_cast<int>(TheDriver().gpus.size())) {
    return absl::FailedPreconditionError(absl::StrCat("device ", device, " does not exist: this machine has ", TheDriver().gpus.size(), " GPUs"));
  }
  return absl::OkStatus();
}

bool CudaLoaded() { return g_cuda_loaded; }

}  // namespace attune::training
