// What `attune-server --check` does: reads all of a data directory that no server uses, and compares it with what the database says of it: the database itself, models, datasets and checkpoints,
// by their SHA-256. Changes nothing that a server would not change when it starts. Blocks for as long as reading takes.
//
//   ATTUNE_ASSIGN_OR_RETURN(DataReport report, CheckData("/var/lib/attune"));
//   for (const std::string& fault : report.faults) ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attune {

struct DataReport {
  int64_t models = 0, datasets = 0, jobs = 0, checkpoints = 0;
  std::vector<std::string> faults;  // each names what is damaged
  std::string ToText() const;       // for people
};

// NOT_FOUND where there is no data directory; FAILED_PRECONDITION while a server uses it, and for one that a newer server made.
absl::StatusOr<DataReport> CheckData(const std::string& data_directory);

}  // namespace attune
