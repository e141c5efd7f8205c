// What `attune-worker --describe` prints: the server learns from it which architectures, tasks and devices there are, and that LibTorch loads.
#pragma once

#include <string>

namespace attune::training {

// One JSON object:
//   {"libtorch_version", "architectures": [{"name", "description", "modality", "tasks": []}],
//    "devices": [{"name", "description", "memory_bytes", "usable", "unusable_reason", "cores"}]}
std::string DescribeWorker();

}  // namespace attune::training
