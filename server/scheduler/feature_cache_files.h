// The feature cache as the server sees it: {root}/{project}/{digest}.features, one directory for each project, so that no worker reads or replaces tables that came from another project's data
// (server/training/input/feature_store.h has the files). All calls block on the disk and belong on the I/O thread. Thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(std::string directory, PrepareFeatureCache(files, data_directory + "/feature-cache", "default", 8 << 30));
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/files.h"

namespace attune::scheduler {

// Makes the project's directory and returns its path. Removes what writers that are gone have left, tables that belong to no project, and, where all projects together have more than `max_bytes`, the tables that
// were used longest ago; attempts that run may add to it meanwhile. Errors are those of Files.
absl::StatusOr<std::string> PrepareFeatureCache(Files& files, const std::string& root, const std::string& project, int64_t max_bytes);

}  // namespace attune::scheduler
