// Checkpoint directories as the server sees them: {output}/checkpoints/step-N with a manifest.json that the worker wrote last, renamed into place when whole. All calls
// block on the disk and belong on the I/O thread. Thread-safe.
//
//   manifest.json: {"step": 120, "files": [{"path", "size_bytes", "sha256", "purpose": "weights" | "resume"}]}
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/checkpoint.pb.h"
#include "server/base/files.h"

namespace attune::scheduler {

// "step-120".
std::string CheckpointDirectoryName(int64_t step);

// Reads the manifest and checks that every file is there with its size; hashes those whose hash the manifest lacks. Fills in step, files, size_bytes and resumable.
// DATA_LOSS, naming the file, when the directory is not what the manifest says; INVALID_ARGUMENT for a name that would lead out of the directory.
absl::StatusOr<v1::Checkpoint> ReadCheckpoint(const std::string& directory);

// Compares each file with its digest. DATA_LOSS names the first that differs or cannot be read.
absl::Status VerifyCheckpoint(const std::string& directory, const v1::Checkpoint& checkpoint);

// Phase that a resumable checkpoint is in, counted from 0 as the job's phases are, from its training_state.json. DATA_LOSS when that cannot be read.
absl::StatusOr<int> CheckpointPhase(const std::string& directory);

// Takes the directory out of the way first (as step-N.tmp), so that a crash leaves it whole or marked as rubbish. OK when absent, and when only rubbish is left: that goes before
// the job's next attempt or at the server's next start. After an error the checkpoint is still whole.
absl::Status RemoveCheckpointDirectory(Files& files, const std::string& directory);

// What removals of checkpoints have left behind in {output_directory}/checkpoints; what cannot be removed stays, with a line in the log.
void RemoveRubbish(Files& files, const std::string& output_directory);

// Makes {output_directory}/checkpoints and removes from it whatever is not in `registered` (directory names): unfinished writes, and checkpoints that were never
// reported.
absl::Status PrepareOutputDirectory(Files& files, const std::string& output_directory, const std::set<std::string>& registered);

// Has the kernel read the checkpoint's files into memory. Does not wait for that, and does nothing about errors: whoever reads them finds out.
void ReadAhead(const std::string& directory);

}  // namespace attune::scheduler
