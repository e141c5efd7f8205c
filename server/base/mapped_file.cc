#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "server/base/errno_status.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"

namespace attune {

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  struct stat info;
  absl::Status status;
  void* data = nullptr;
  size_t size = 0;
  if (fstat(fd, &info) != 0) {
    status = ErrnoStatus(errno, "stat", path);
  } else if (!S_ISREG(info.st_mode)) {
    status = absl::InternalError(StrCat("map ", path, ": not a regular file"));
  } else if (info.st_size > 0) {  // mmap refuses length 0
    size = static_cast<size_t>(info.st_size);
    data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) status = ErrnoStatus(errno, "map", path);
  }
  close(fd);  // the mapping stays
  if (!status.ok()) return status;
  return std::shared_ptr<const MappedFile>(new MappedFile(static_cast<const char*>(data), size));
}

MappedFile::~MappedFile() {
  if (size_ > 0) munmap(const_cast<char*>(data_), size_);
}

}  // namespace attune
