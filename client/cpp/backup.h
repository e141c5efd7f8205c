// Saves a backup of a server as a tar archive. The file is PATH.part until all of it is here and on the disk, then it is renamed. Thread-safe for different paths.
//
//   ATTUNE_ASSIGN_OR_RETURN(int64_t bytes, SaveBackup(*client, "attune-2024-05-01.tar"));
//
// Errors: ALREADY_EXISTS for a file that is there; RESOURCE_EXHAUSTED when the disk is too small, or while the server makes another backup; the server's. A cut starts anew.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/client.h"
#include "server/base/files.h"

namespace attune::client {

struct BackupOptions {
  std::function<void(int64_t received, int64_t total)> progress;  // bytes so far, and about how many there will be
  Files* files = &Files::Posix();
};

// Bytes of the archive.
absl::StatusOr<int64_t> SaveBackup(Client& client, const std::string& path, const BackupOptions& options = {});

}  // namespace attune::client
