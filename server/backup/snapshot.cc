#include "server/backup/snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::backup {
namespace {

namespace fs = std::filesystem;

// All else below the data directory is the database, this process's, or can be computed again.
constexpr const char* kFolders[] = {"models", "datasets", "artifacts", "jobs"};

bool SameFile(const std::string& a, const std::string& b) {
  struct stat of_a = {}, of_b = {};
  return lstat(a.c_str(), &of_a) == 0 && lstat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

// Files come and go while this walks: what is gone again is not there. ABORTED for a name that was linked before and has become another file's.
absl::Status LinkTree(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to, error);
  if (error) return ErrnoStatus(error.value(), "create", to.string());
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const fs::path target = to / it->path().filename();
    struct stat found = {};
    if (lstat(it->path().c_str(), &found) != 0) {
      if (errno == ENOENT) continue;
      return ErrnoStatus(errno, "look at", it->path().string());
    }
    if (S_ISDIR(found.st_mode)) {
      ATTUNE_RETURN_IF_ERROR(LinkTree(it->path(), target));
    } else if (!S_ISREG(found.st_mode)) {
      return absl::FailedPreconditionError(StrCat(it->path().string(), " is neither a file nor a directory, and was not made by a server: take it away"));
    } else if (link(it->path().c_str(), target.c_str()) != 0) {
      if (errno == ENOENT) continue;
      if (errno != EEXIST) return ErrnoStatus(errno, "link", it->path().string());
      if (!SameFile(it->path().string(), target.string())) return absl::AbortedError(StrCat(it->path().string(), " was replaced meanwhile"));
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) return ErrnoStatus(error.value(), "list", from.string());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BackupSnapshot>> BackupSnapshot::Take(const SnapshotSources& sources) {
  constexpr int kTries = 3;
  absl::StatusOr<std::unique_ptr<BackupSnapshot>> snapshot = TryTake(sources);
  for (int i = 1; i < kTries && absl::IsAborted(snapshot.status()); ++i) snapshot = TryTake(sources);
  return snapshot;
}

absl::StatusOr<std::unique_ptr<BackupSnapshot>> BackupSnapshot::TryTake(const SnapshotSources& sources) {
  const std::string directory = StrCat(sources.data_directory, "/", kScratchName);
  ATTUNE_RETURN_IF_ERROR(sources.files.RemoveRecursively(directory));
  ATTUNE_RETURN_IF_ERROR(sources.files.CreateDirectories(directory));
  std::unique_ptr<BackupSnapshot> snapshot(new BackupSnapshot(directory, sources.files));
  absl::Status status;
  sources.hold([&] {
    status = snapshot->LinkAll(sources.data_directory);
    if (status.ok()) status = sources.database.CopyTo(StrCat(directory, "/", kDatabaseName));
    if (status.ok()) status = snapshot->LinkAll(sources.data_directory);
  });
  ATTUNE_RETURN_IF_ERROR(status);
  ATTUNE_RETURN_IF_ERROR(snapshot->List());
  return snapshot;
}

BackupSnapshot::~BackupSnapshot() { files_.RemoveRecursively(directory_).IgnoreError(); }

absl::Status BackupSnapshot::LinkAll(const std::string& data_directory) {
  for (const char* folder : kFolders) {
    const std::string from = StrCat(data_directory, "/", folder);
    if (FileExists(from)) ATTUNE_RETURN_IF_ERROR(LinkTree(from, StrCat(directory_, "/", folder)));
  }
  return absl::OkStatus();
}

absl::Status BackupSnapshot::List() {
  std::error_code error;
  for (fs::recursive_directory_iterator it(directory_, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    names_.push_back(it->path().lexically_relative(directory_).string());
    total_bytes_ += static_cast<int64_t>(it->file_size(error));
    if (error) break;
  }
  if (error) return ErrnoStatus(error.value(), "list", directory_);
  std::sort(names_.begin(), names_.end(), [](const std::string& a, const std::string& b) { return std::pair(a != kDatabaseName, a) < std::pair(b != kDatabaseName, b); });
  return absl::OkStatus();
}

}  // namespace attune::backup
