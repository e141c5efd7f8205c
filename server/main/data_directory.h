// DataDirectory: the server's directory, made if need be and locked, so that two servers never write the same files. Owned by Server; everything that lives in
// the directory must go before it. Not thread-safe.
// Errors: FAILED_PRECONDITION naming the process that holds the lock; those of Files.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto directory, DataDirectory::Lock("data", Files::Posix()));
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/files.h"

namespace attune {

class DataDirectory {
 public:
  // The lock is flock(2) on {path}/LOCK, which holds the process id; the kernel lets go of it when the process ends, however it ends.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Lock(const std::string& path, Files& files);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }  // absolute
  std::string Below(const std::string& name) const { return path_ + "/" + name; }

  // Where the workers' socket can be: in the directory, or in one of its own where that path would be too long for a socket.
  std::string WorkerSocketPath();

 private:
  DataDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}
  const std::string path_;
  const int lock_fd_;
  std::unique_ptr<TemporaryDirectory> socket_directory_;
};

}  // namespace attune
