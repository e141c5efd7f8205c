// ProcessMemory: the host's memory as this process has it: resident pages, mapped files among them. Reads /proc; where that can't be read, everything is 0.
//
//   ProcessMemory memory;
//   memory.PeakBytes();
#pragma once

#include <string>

#include "server/training/recipes/probe/memory_meter.h"

namespace attune::training {

// Set by the server where workers run under RLIMIT_DATA: that limit in bytes.
inline constexpr char kWorkerMemoryVariable[] = "ATTUNE_WORKER_MEMORY";

class ProcessMemory final : public MemoryMeter {
 public:
  // `root` stands for / in tests.
  explicit ProcessMemory(std::string root = "") : root_(std::move(root)) {}

  int64_t InUseBytes() override;
  int64_t PeakBytes() override;
  void ResetPeak() override;
  // The least of what the machine has available, what the control group (v2 or v1) leaves, and what the worker's own limit does, each beyond what is in use.
  int64_t LimitBytes() override;
  bool CountsFiles() const override { return true; }

 private:
  int64_t Status(const std::string& field) const;  // of /proc/self/status, in bytes; 0 when absent

  const std::string root_;
};

}  // namespace attune::training
