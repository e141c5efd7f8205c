// What the server knows of a job and of its checkpoints: plain values. The scheduler owns the living ones; job_store keeps them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"

namespace attune::jobs {

struct Job {
  std::string id;               // last part of resource.name
  int64_t order = 0;            // rises with every creation; "newest first" is by this
  v1::FineTuningJob resource;   // what clients see; jobs_ahead is filled in when it is read
  std::string request_id;       // of its creation; empty: none
  std::string request_digest;   // SHA-256 of the creation's payload
  int lost_attempts = 0;        // in a row, without a new checkpoint between them
  bool best_is_measured = false;  // best_checkpoint was chosen by an evaluation, and is not merely the newest
};

struct CheckpointRecord {
  std::string job_id;
  int64_t step = 0;
  std::string directory;    // under the job's checkpoints directory, "step-120"
  v1::Checkpoint resource;  // is_best is filled in when it is read
};

// "fineTuningJobs/{id}" and "fineTuningJobs/{id}/checkpoints/{step}".
inline std::string JobName(const std::string& id) { return "fineTuningJobs/" + id; }
inline std::string CheckpointName(const std::string& id, int64_t step) {
  return JobName(id) + "/checkpoints/" + std::to_string(step);
}

// Step of another job's checkpoint that the job goes on from, by an effective spec; 0 where it begins at the beginning.
inline int64_t BeginsAfter(const v1::FineTuningSpec& spec) {
  if (spec.warm_start().part() != v1::WarmStart::PART_ALL) return 0;
  const std::string& name = spec.warm_start().checkpoint();
  return std::strtoll(name.c_str() + name.rfind('/') + 1, nullptr, 10);
}

}  // namespace attune::jobs
