// Proves that a job can be resumed to the bit: trains the way from one of its checkpoints to a later one again, as a job of its own, and compares the digests of the files.
// Thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(ResumeProof proof, VerifyResume(*client, "fineTuningJobs/j7k2", {}));
//   if (!proof.equal()) ...
//
// The helper job is made with everything of the job's effective spec and warm_start {checkpoint, PART_ALL}; it is cancelled once it has the later checkpoint, and deleted,
// also when something goes wrong. It takes a job slot like any other.
// Errors: NOT_FOUND; FAILED_PRECONDITION when the job has not two checkpoints that fit, or was changed on the way between them; those of the calls; INTERNAL when the helper
// job ended without the checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/checkpoint.pb.h"
#include "client/cpp/client.h"

namespace attune::client {

struct VerifyResumeOptions {
  int64_t from_step = -1;  // of the checkpoint to begin with; negative: the last one but one
  std::function<void(const v1::FineTuningJob& helper, int64_t from, int64_t to)> on_start;  // told when the helper job exists
};

struct FileProof {
  std::string path;
  std::string expected, replayed;  // SHA-256; empty: the checkpoint has no such file
  bool equal() const { return expected == replayed; }
};

struct ResumeProof {
  std::string from, to;          // checkpoints of the job
  std::vector<FileProof> files;  // of `to`, by path
  bool equal() const;
};

absl::StatusOr<ResumeProof> VerifyResume(Client& client, const std::string& job, const VerifyResumeOptions& options);

}  // namespace attune::client
