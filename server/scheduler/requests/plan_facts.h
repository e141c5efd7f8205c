// What the server adds to a worker's plan: the disk that checkpoints take under the job's retention, and a summary that says what to do. Pure.
//
//   AddFacts(effective_spec, /*disk_free_bytes=*/free, &plan);
#pragma once

#include <cstdint>

#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/training_spec.pb.h"

namespace attune::scheduler {

// `plan` as the worker made it. Sets effective_spec, disk_bytes, disk_free_bytes and summary.
void AddFacts(const v1::FineTuningSpec& effective_spec, int64_t disk_free_bytes, v1::PlanFineTuningJobResponse* plan);

// What decides how much memory a job takes, in few bytes: jobs with equal keys take the same but for what chance does.
std::string MemoryKey(const v1::FineTuningSpec& effective_spec);

}  // namespace attune::scheduler
