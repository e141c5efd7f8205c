// What workers can do, as `attune-worker --describe` reports it: the one source of truth about architectures, tasks and devices, and the proof that
// LibTorch and the devices load. Thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(WorkerDescription description, DescribeWorker("/usr/bin/attune-worker"));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/system.pb.h"

namespace attune::workers {

struct WorkerDescription {
  std::string libtorch_version;
  v1::ListArchitecturesResponse architectures;
  v1::ListDevicesResponse devices;
};

// Runs the program and waits for it. NOT_FOUND when it is not there, DEADLINE_EXCEEDED when it hangs, FAILED_PRECONDITION when it fails (with the end
// of its standard error), INTERNAL when its answer makes no sense.
absl::StatusOr<WorkerDescription> DescribeWorker(const std::string& worker_path, absl::Duration timeout = absl::Minutes(2));

// The answer alone. Pure.
absl::StatusOr<WorkerDescription> ParseWorkerDescription(std::string_view json);

}  // namespace attune::workers
