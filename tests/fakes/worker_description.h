// What a worker says of itself that knows one architecture and has a CPU of two cores.
//
//   Scheduler::Create(options, dependencies, OneCpuDescription());
#pragma once

#include "server/workers/worker_describe.h"

namespace attune {

inline workers::WorkerDescription OneCpuDescription() {
  workers::WorkerDescription description;
  v1::Architecture& architecture = *description.architectures.add_architectures();
  architecture.set_name("bert");
  architecture.add_tasks("text-classification");
  v1::Device& cpu = *description.devices.add_devices();
  cpu.set_name("cpu");
  cpu.set_usable(true);
  cpu.set_cores(2);
  return description;
}

}  // namespace attune
