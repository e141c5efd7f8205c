// Brings a checkpoint home as a directory that transformers loads. A file is NAME.part until it is whole and its
// SHA-256 is right, then it is renamed: what has its real name is right. A cut, or another call after an interruption,
// goes on from the bytes in NAME.part; files that are already there are not fetched again. Thread-safe for different
// directories.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto result, DownloadCheckpoint(*client, "fineTuningJobs/j7k2/checkpoints/best", "model"));
//
// Errors: NOT_FOUND; DATA_LOSS when a file's hash is wrong twice; RESOURCE_EXHAUSTED when the disk is too small; the
// server's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/checkpoint.pb.h"
#include "client/cpp/client.h"
#include "client/cpp/upload.h"
#include "server/base/files.h"

namespace attune::client {

struct DownloadOptions {
  bool resume_files = false;  // also optimizer state and data cursor
  OnTransfer progress;        // over all files: name is the file that is being fetched, bytes are those of all
  Files* files = &Files::Posix();
};

struct DownloadResult {
  v1::Checkpoint checkpoint;
  std::vector<std::string> paths;  // of the files on this machine
  int64_t received_bytes = 0;      // over the network
  int64_t reused_bytes = 0;        // were already here
};

absl::StatusOr<DownloadResult> DownloadCheckpoint(Client& client, const std::string& checkpoint,
                                                  const std::string& directory, const DownloadOptions& options = {});

}  // namespace attune::client
