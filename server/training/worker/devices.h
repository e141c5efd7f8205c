// Devices that this process could train on, and why others can't be used. LibTorch's CUDA half is not linked: it is loaded at run time where it and an NVIDIA driver
// are found, so that one program serves both kinds of machine. Not thread-safe; before any other use of torch where CUDA is wanted.
//
//   absl::Status ready = PrepareDevice("cuda:0");
//   for (const DeviceInfo& device : ListDevices()) ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace attune::training {

struct DeviceInfo {
  std::string name;         // "cpu", "cuda:0"
  std::string description;  // processor or GPU model
  int64_t memory_bytes = 0;
  bool usable = false;
  std::string unusable_reason;
  int32_t cores = 0;        // of the CPU
};

// The CPU first. A GPU is usable when a kernel has run on it. Where there is a driver but no usable library, its GPUs are listed with the reason; where there is no
// driver, a "cuda" entry without a number says so.
std::vector<DeviceInfo> ListDevices();

// OK for "cpu"; for "cuda" and "cuda:N" loads what they need. FAILED_PRECONDITION with the reason, INVALID_ARGUMENT for other names.
absl::Status PrepareDevice(const std::string& device);

// Whether LibTorch's CUDA half was loaded: such a process must not run static destructors.
bool CudaLoaded();

}  // namespace attune::training
