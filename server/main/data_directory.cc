#include "server/main/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

absl::Status InUse(const std::string& path, const std::string& lock_path) {
  std::string holder = absl::StrCat(absl::StripAsciiWhitespace(ReadFile(lock_path, 64).value_or("")));
  return absl::FailedPreconditionError(StrCat("data_dir: ", path, " is in use by another attune-server",
                                              holder.empty() ? "" : StrCat(" (process ", holder, ")"),
                                              "; stop that one, or give this one another --data-dir"));
}

absl::Status WriteProcessId(int fd, const std::string& lock_path) {
  std::string text = StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return ErrnoStatus(errno, "write", lock_path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Lock(const std::string& path, Files& files) {
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(path));
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) return ErrnoStatus(errno, "resolve", path);
  std::string lock_path = StrCat(resolved, "/LOCK");
  int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "open", lock_path);
  std::unique_ptr<DataDirectory> directory(new DataDirectory(resolved, fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? InUse(path, lock_path) : ErrnoStatus(errno, "lock", lock_path);
  }
  ATTUNE_RETURN_IF_ERROR(WriteProcessId(fd, lock_path));
  return directory;
}

// The file stays: removing it would let a third server lock a new file while a second one waits at the old.
DataDirectory::~DataDirectory() { close(lock_fd_); }

std::string DataDirectory::WorkerSocketPath() {
  std::string path = Below("workers.sock");
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  socket_directory_ = std::make_unique<TemporaryDirectory>();
  return socket_directory_->path() + "/workers.sock";
}

}  // namespace attune
