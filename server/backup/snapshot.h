// BackupSnapshot: a data directory as it was at one moment, on the same disk: a copy of the database and hard links to the files that it speaks of. The files are never changed once they have
// their names (but for uploads under way, which a server cuts back to what their rows say), so links are as good as copies, take no space and moments to make. Owned by whoever streams it;
// not thread-safe; the destructor removes it.
//
// The order makes it one moment: files, database, files again. What the database knows has its files then, or lost them after it, which is a state that a crash leaves, too; but for
// checkpoints, which go when newer ones are durable: `hold` keeps anybody from removing them meanwhile.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto snapshot, BackupSnapshot::Take({.data_directory = path, .database = database, .files = files, .hold = hold}));
//   for (const std::string& name : snapshot->names()) ... snapshot->directory() + "/" + name ...
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"
#include "server/database/database.h"

namespace attune::backup {

inline constexpr char kDatabaseName[] = "attune.db";
// Below the data directory; what a killed server left there is removed when the next one starts.
inline constexpr char kScratchName[] = "backup-scratch";

struct SnapshotSources {
  std::string data_directory;
  Database& database;
  Files& files;
  std::function<void(const std::function<void()>& work)> hold;  // runs `work` while no checkpoint is removed
};

class BackupSnapshot {
 public:
  // ABORTED when files were replaced under their names again and again.
  static absl::StatusOr<std::unique_ptr<BackupSnapshot>> Take(const SnapshotSources& sources);
  ~BackupSnapshot();

  const std::string& directory() const { return directory_; }
  const std::vector<std::string>& names() const { return names_; }  // of files below it, sorted, the database first
  int64_t total_bytes() const { return total_bytes_; }

 private:
  BackupSnapshot(std::string directory, Files& files) : directory_(std::move(directory)), files_(files) {}
  absl::Status LinkAll(const std::string& data_directory);
  absl::Status List();
  static absl::StatusOr<std::unique_ptr<BackupSnapshot>> TryTake(const SnapshotSources& sources);

  const std::string directory_;
  Files& files_;
  std::vector<std::string> names_;
  int64_t total_bytes_ = 0;
};

}  // namespace attune::backup
