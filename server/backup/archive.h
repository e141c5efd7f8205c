// A snapshot as a tar archive (pax), with SHA256SUMS of its files as the last entry. Blocks on the disk.
#pragma once

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "server/backup/snapshot.h"

namespace attune::backup {

inline constexpr char kSumsName[] = "SHA256SUMS";

// Hands the archive to `write` in pieces; an error of it ends the work and is returned. INTERNAL when a file cannot be read.
absl::Status WriteArchive(const BackupSnapshot& snapshot, const std::function<absl::Status(std::string_view)>& write);

}  // namespace attune::backup
