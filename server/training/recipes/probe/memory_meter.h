// MemoryMeter: how much memory the process has on a device, and how much it may have. Implemented for the host here, for GPUs in worker/, and by tests. Not thread-safe.
//
//   meter.ResetPeak();
//   ...
//   const int64_t peak = meter.PeakBytes();
#pragma once

#include <cstdint>

namespace attune::training {

class MemoryMeter {
 public:
  virtual ~MemoryMeter() = default;
  virtual int64_t InUseBytes() = 0;
  // Most since the last reset, or the process's start.
  virtual int64_t PeakBytes() = 0;
  virtual void ResetPeak() = 0;
  // What InUseBytes may rise to, as things are; 0 when that is not known.
  virtual int64_t LimitBytes() = 0;
  // Whether pages of mapped files count.
  virtual bool CountsFiles() const = 0;
};

}  // namespace attune::training
