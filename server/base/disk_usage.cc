#include "server/base/disk_usage.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

namespace attune {

int64_t BytesBelow(const std::string& path, FilesSeen& seen) {
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) return 0;
  if (S_ISREG(found.st_mode)) {
    if (found.st_nlink > 1 && !seen.emplace(found.st_dev, found.st_ino).second) return 0;
    return static_cast<int64_t>(found.st_blocks) * 512;
  }
  int64_t bytes = 0;
  std::error_code error;
  if (!S_ISDIR(found.st_mode)) return 0;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) bytes += BytesBelow(it->path().string(), seen);
  return bytes;
}

}  // namespace attune
