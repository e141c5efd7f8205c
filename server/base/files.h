// Durable file operations. Every write that must survive a crash goes through here, so that tests can make each one
// fail. Thread-safe. Errors carry the path and errno's text; ENOSPC and EDQUOT are RESOURCE_EXHAUSTED, ENOENT is
// NOT_FOUND, others INTERNAL.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto file, files.OpenForAppend(path));
//   ATTUNE_RETURN_IF_ERROR(file->Append(data));
//   ATTUNE_RETURN_IF_ERROR(file->Sync());
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune {

// A file being written. Not thread-safe, except that Sync may run while another thread appends: it covers what was
// appended before it began. The destructor closes without syncing.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual absl::Status Append(std::string_view data) = 0;
  virtual absl::Status Sync() = 0;   // fdatasync
  virtual absl::Status Close() = 0;  // idempotent
};

// Memory, lengths and places in a file that are multiples of this can be written past the page cache.
inline constexpr size_t kDirectAlignment = 4096;

class Files {
 public:
  virtual ~Files() = default;
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) = 0;  // truncates
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(
      const std::string& path) = 0;  // creates when absent
  // As Create, for a large file that nobody reads soon: what is aligned goes past the page cache, where the file system
  // can do that. It costs no pages, and takes none from those who read.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> CreateUncached(const std::string& path) { return Create(path); }
  virtual absl::Status Truncate(const std::string& path, int64_t size) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  virtual absl::Status CreateDirectories(
      const std::string& path) = 0;                          // and syncs the parents of new ones; OK when it exists
  virtual absl::Status Remove(const std::string& path) = 0;  // OK when absent
  virtual absl::Status RemoveRecursively(const std::string& path) = 0;  // OK when absent
  virtual absl::Status Link(const std::string& from,
                            const std::string& to) = 0;  // hard link; replaces nothing, OK when `to` exists
  virtual absl::StatusOr<int64_t> FreeBytes(const std::string& path) = 0;
  // The machine's file system.
  static Files& Posix();
};

// Reading needs no fault injection. A file that is larger than max_bytes is INVALID_ARGUMENT.
absl::StatusOr<std::string> ReadFile(const std::string& path, int64_t max_bytes = int64_t{1} << 30);
absl::StatusOr<int64_t> FileSize(const std::string& path);
bool FileExists(const std::string& path);
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);  // names, sorted, without . and ..

// Writes path.tmp, syncs, renames over path, syncs the directory: after a crash the old or the new content is there.
absl::Status WriteFileAtomically(Files& files, const std::string& path, std::string_view content);

// A read-only mapping of a whole file; empty files map to an empty view.
class MappedFile {
 public:
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::string_view view() const { return {data_, size_}; }

 private:
  MappedFile(const char* data, size_t size) : data_(data), size_(size) {}
  const char* data_;
  size_t size_;
};

// A directory that is removed with its content when the object goes. For tests and scratch space.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace attune
