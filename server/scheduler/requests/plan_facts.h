// What the server adds to a worker's plan: the disk that checkpoints take under the job's retention, and a summary that says what to do. Pure.
//
//   AddFacts(effective_spec, /*disk_free_bytes=*/free, &plan);
#pragma once

#include <cstdint>
#include <string>

#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/training_spec.pb.h"

namespace attune::scheduler {

// `plan` as the worker made it. Sets effective_spec, disk_bytes, disk_free_bytes and summary.
void AddFacts(const v1::FineTuningSpec& effective_spec, int64_t disk_free_bytes, v1::PlanFineTuningJobResponse* plan);

// "3.1 GiB", "870 MiB".
std::string BinaryBytes(int64_t bytes);

// "40 s", "14 min", "3.5 h": as precise as an estimate is.
std::string AboutSeconds(double seconds);

}  // namespace attune::scheduler
