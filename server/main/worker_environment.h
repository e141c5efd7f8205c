// What the server gives its workers in their environment, and what it says of their sandbox.
//
//   launcher_options.extra_env = WorkerEnvironment(options.workers, data_directory);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/system.pb.h"
#include "server/main/options.h"

namespace attune {

std::vector<std::pair<std::string, std::string>> WorkerEnvironment(const WorkerOptions& options, const std::string& data_directory);

// What this kernel makes of worker_sandbox; a line in the log says it. FAILED_PRECONDITION when it must have more. `mode`: "auto", "required" or "off".
absl::StatusOr<v1::WorkerSandbox> DescribeSandbox(const std::string& mode);

}  // namespace attune
