// The memory of the device that a job runs on: the process's own on a CPU, the caching allocator's on a GPU, where pages of the host do not count. Reached through LibTorch's
// registry of allocators, for its CUDA half is not linked (see devices.h). This header is free of torch.
//
//   std::unique_ptr<MemoryMeter> memory = MeterOf("cuda:0");   // after PrepareDevice
#pragma once

#include <memory>
#include <string>

#include "server/training/recipes/probe/memory_meter.h"

namespace attune::training {

// Where the device has no such allocator, or it has not begun to work, everything is 0.
std::unique_ptr<MemoryMeter> MeterOf(const std::string& device);

}  // namespace attune::training
