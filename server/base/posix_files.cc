// Files on the machine's file system.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "server/base/errno_status.h"
#include "server/base/fault_point.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"

namespace attune {
namespace {

// A fault point before an operation and one after it.
class FaultPoints {
 public:
  explicit FaultPoints(const char* operation) : operation_(operation) { At(".before"); }
  ~FaultPoints() { At(".after"); }

 private:
  void At(const char* when) const {
    if (FaultPointsArmed()) FaultPoint(std::string(operation_) + when);
  }
  const char* const operation_;
};

class PosixWritableFile final : public WritableFile {
 public:
  // `uncached`: of an empty file.
  PosixWritableFile(int fd, std::string path, bool uncached) : fd_(fd), path_(std::move(path)), uncached_(uncached) {}
  ~PosixWritableFile() override {
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Append(std::string_view data) override {
    if (fd_ < 0) return absl::FailedPreconditionError("write " + path_ + ": the file is closed");
    const FaultPoints points("append");
    size_t torn = FaultPointsArmed() ? data.size() / 2 : 0;  // a test may want to see half of it
    while (!data.empty()) {
      size_t size = torn > 0 ? torn : data.size();
      if (uncached_) size = ChooseWay(data.data(), size);
      ssize_t written = write(fd_, data.data(), size);
      if (std::exchange(torn, 0) > 0) FaultPoint("append.torn");
      if (written < 0) {
        if (errno == EINTR) continue;
        if (errno == EINVAL && direct_) {  // this file system wants another alignment
          SetDirect(false);
          uncached_ = false;
          continue;
        }
        return ErrnoStatus(errno, "write", path_);
      }
      data.remove_prefix(static_cast<size_t>(written));
      written_ += static_cast<size_t>(written);
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (fd_ < 0) return absl::FailedPreconditionError("sync " + path_ + ": the file is closed");
    const FaultPoints points("sync");
    if (fdatasync(fd_) != 0) return ErrnoStatus(errno, "sync", path_);
    return absl::OkStatus();
  }

  absl::Status Close() override {
    if (fd_ < 0) return absl::OkStatus();
    int fd = fd_;
    fd_ = -1;
    // After EINTR the descriptor is gone on Linux, and closing again could hit another thread's file.
    if (close(fd) != 0 && errno != EINTR) return ErrnoStatus(errno, "close", path_);
    return absl::OkStatus();
  }

 private:
  // Turns O_DIRECT on or off, as what comes next allows. Returns how much of it goes that way.
  size_t ChooseWay(const char* data, size_t size) {
    const bool aligned = reinterpret_cast<uintptr_t>(data) % kDirectAlignment == 0 && written_ % kDirectAlignment == 0 && size >= kDirectAlignment;
    if (aligned != direct_) SetDirect(aligned);
    return direct_ ? size - size % kDirectAlignment : size;
  }
  void SetDirect(bool direct) {
    const int flags = fcntl(fd_, F_GETFL);
    if (flags < 0 || fcntl(fd_, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) != 0) {
      uncached_ = false;  // not on this file system
      return;
    }
    direct_ = direct;
  }

  int fd_;
  const std::string path_;
  bool uncached_;
  bool direct_ = false;
  size_t written_ = 0;
};

absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWriting(const std::string& path, int flags, bool uncached = false) {
  const FaultPoints points("open");
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  return std::make_unique<PosixWritableFile>(fd, path, uncached);
}

class PosixFiles final : public Files {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    return OpenForWriting(path, O_TRUNC);
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return OpenForWriting(path, O_APPEND);
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> CreateUncached(const std::string& path) override {
    return OpenForWriting(path, O_TRUNC, /*uncached=*/true);
  }

  absl::Status Truncate(const std::string& path, int64_t size) override {
    const FaultPoints points("truncate");
    if (truncate(path.c_str(), size) != 0) return ErrnoStatus(errno, "truncate", path);
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    const FaultPoints points("rename");
    if (rename(from.c_str(), to.c_str()) != 0) return ErrnoStatus(errno, "rename", from + " to " + to);
    return absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string& path) override {
    const FaultPoints points("sync_directory");
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ErrnoStatus(errno, "open directory", path);
    absl::Status status = fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "sync directory", path);
    close(fd);
    return status;
  }

  absl::Status CreateDirectories(const std::string& path) override {
    std::filesystem::path made;
    for (const std::filesystem::path& part : std::filesystem::path(path)) {
      std::filesystem::path parent = made.empty() ? "." : made;
      made /= part;
      if (mkdir(made.c_str(), 0755) == 0) {
        ATTUNE_RETURN_IF_ERROR(SyncDirectory(parent));  // or a crash takes the new directory and all in it
        continue;
      }
      int error = errno;
      // An existing part may also answer EACCES or EROFS; what counts is that it is there.
      struct stat info;
      if (stat(made.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
      return ErrnoStatus(error, "create directory", made.native());
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    const FaultPoints points("remove");
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove", path);
    return absl::OkStatus();
  }

  absl::Status RemoveRecursively(const std::string& path) override {
    const FaultPoints points("remove_recursively");
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return ErrnoStatus(error.value(), "remove", path);
    return absl::OkStatus();
  }

  absl::Status Link(const std::string& from, const std::string& to) override {
    const FaultPoints points("link");
    if (link(from.c_str(), to.c_str()) != 0 && errno != EEXIST) return ErrnoStatus(errno, "link", from + " to " + to);
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> FreeBytes(const std::string& path) override {
    struct statvfs info;
    if (statvfs(path.c_str(), &info) != 0) return ErrnoStatus(errno, "read free space of", path);
    return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  }
};

}  // namespace

Files& Files::Posix() {
  static PosixFiles* const files = new PosixFiles;  // never destroyed: threads may outlive main
  return *files;
}

}  // namespace attune
