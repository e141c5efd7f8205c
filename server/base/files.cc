// Reading, atomic replacement, and temporary directories.
#include "server/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

absl::StatusOr<std::string> ReadDescriptor(int fd, const std::string& path, int64_t max_bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, "stat", path);
  std::string content;
  // The size is a hint: files under /proc have none.
  content.reserve(static_cast<size_t>(std::clamp<int64_t>(info.st_size, 0, max_bytes)));
  char buffer[64 << 10];
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", path);
    if (got == 0) return content;
    if (got > max_bytes - static_cast<int64_t>(content.size())) {
      return absl::InvalidArgumentError(StrCat("read ", path, ": larger than ", max_bytes, " bytes"));
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status WriteWhole(Files& files, const std::string& path, std::string_view content) {
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.Create(path));
  ATTUNE_RETURN_IF_ERROR(file->Append(content));
  ATTUNE_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  absl::StatusOr<std::string> content = ReadDescriptor(fd, path, max_bytes);
  close(fd);
  return content;
}

absl::StatusOr<int64_t> FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoStatus(errno, "stat", path);
  return info.st_size;
}

bool FileExists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return ErrnoStatus(errno, "list", path);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  int error = errno;
  closedir(directory);
  if (error != 0) return ErrnoStatus(error, "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status WriteFileAtomically(Files& files, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  absl::Status status = WriteWhole(files, temporary, content);
  if (status.ok()) status = files.Rename(temporary, path);
  if (!status.ok()) {
    files.Remove(temporary).IgnoreError();  // the first error is the one to tell
    return status;
  }
  std::string directory = std::filesystem::path(path).parent_path();
  return files.SyncDirectory(directory.empty() ? "." : directory);
}

TemporaryDirectory::TemporaryDirectory() {
  const char* root = std::getenv("TMPDIR");
  path_ = StrCat(root != nullptr && *root != '\0' ? root : "/tmp", "/attune-XXXXXX");
  if (mkdtemp(path_.data()) == nullptr) {
    std::fprintf(stderr, "attune: cannot make a directory like %s (set TMPDIR to a writable one): ", path_.c_str());
    std::perror(nullptr);
    std::abort();
  }
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace attune
