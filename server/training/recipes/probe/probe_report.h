// What a probe found, as plain values that cross to worker/: free of torch and protobuf. Meanings and units: PlanFineTuningJobResponse in proto/attune/v1/fine_tuning_job.proto.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attune::training {

// kMemory leaves out what only time is measured by: the report's times are 0.
enum class ProbeScope { kMemoryAndTime, kMemory };

struct ProbedMemory {
  int64_t peak = 0, runtime = 0, parameters = 0, gradients = 0, optimizer = 0, activations = 0;  // bytes
};

struct ProbedPhase {
  std::string name;
  int64_t steps = 0;
  double step_seconds = 0, seconds = 0;
  int64_t trainable_parameters = 0;
};

struct ProbeReport {
  std::string device;
  int threads = 0;
  ProbedMemory memory;
  int64_t memory_limit = 0;  // bytes; 0: not known
  bool fits = false;
  int64_t largest_batch = 0, accumulation = 0;
  std::vector<ProbedPhase> phases;
  int64_t total_steps = 0;
  double seconds = 0, low_seconds = 0, high_seconds = 0;
  int64_t checkpoint_bytes = 0;
};

}  // namespace attune::training
