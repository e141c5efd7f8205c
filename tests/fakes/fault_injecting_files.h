// FaultInjectingFiles: the machine's file system, with failures where a test wants them. Header-only, owned by the
// test. Thread-safe; the files that it opens are as thread-safe as real ones. It must outlive them.
//
//   FaultInjectingFiles files;
//   files.Inject({.op = FileOp::kAppend, .path_contains = ".part", .skip = 2, .status =
//   absl::ResourceExhaustedError("disk full")}); files.LimitBytes(1000);            // a disk with room for 1000 more
//   bytes; the append that crosses it writes what fits and fails files.LoseUnsyncedBytes();         // as if the power
//   went: files shrink to what was synced
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"

namespace attune {

enum class FileOp {
  kCreate,
  kOpenForAppend,
  kAppend,
  kSync,
  kClose,
  kTruncate,
  kRename,  // path is the source
  kSyncDirectory,
  kCreateDirectories,
  kRemove,
  kRemoveRecursively,
  kLink,  // path is the source
  kFreeBytes,
};

struct FileFault {
  std::optional<FileOp> op;   // absent: any call
  std::string path_contains;  // empty: any path
  int64_t skip = 0;           // matching calls that still work before the first failure
  int64_t times = 1;          // failures before calls work again; -1: for ever
  int64_t short_write = 0;    // kAppend: bytes that reach the file before the failure
  absl::Status status = absl::InternalError("injected fault");
};

class FaultInjectingFiles final : public Files {
 public:
  using Call = std::pair<FileOp, std::string>;

  explicit FaultInjectingFiles(Files& real = Files::Posix()) : real_(real) {}

  void Inject(FileFault fault) {
    absl::MutexLock lock(&mutex_);
    faults_.push_back(std::move(fault));
  }
  // The nth call from now on fails, counted from 1, whatever it is.
  void FailCall(int64_t n, absl::Status status = absl::InternalError("injected fault")) {
    Inject({.skip = n - 1, .status = std::move(status)});
  }
  // Appends fail with RESOURCE_EXHAUSTED once this many more bytes are written. Absent: no limit.
  void LimitBytes(std::optional<int64_t> bytes) {
    absl::MutexLock lock(&mutex_);
    bytes_left_ = bytes;
  }
  // What FreeBytes answers. Absent: the truth.
  void SetFreeBytes(std::optional<int64_t> bytes) {
    absl::MutexLock lock(&mutex_);
    free_bytes_ = bytes;
  }
  // Forgets faults and limits.
  void Clear() {
    absl::MutexLock lock(&mutex_);
    faults_.clear();
    bytes_left_.reset();
    free_bytes_.reset();
  }
  // Every call so far, in order, failed ones included.
  std::vector<Call> calls() const {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }
  int64_t CountCalls(FileOp op, std::string_view path_contains = "") const {
    absl::MutexLock lock(&mutex_);
    return std::count_if(calls_.begin(), calls_.end(), [&](const Call& call) {
      return call.first == op && call.second.find(path_contains) != std::string::npos;
    });
  }
  // Shrinks every file written through this object to its size at its last Sync, as a power cut may. Directory
  // operations stay.
  void LoseUnsyncedBytes() {
    absl::MutexLock lock(&mutex_);
    for (const auto& [path, size] : synced_size_) {
      absl::StatusOr<int64_t> now = FileSize(path);
      if (now.ok() && *now > size) real_.Truncate(path, size).IgnoreError();
    }
  }

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kCreate, path));
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, real_.Create(path));
    SetSyncedSize(path, 0);
    return std::make_unique<File>(*this, std::move(file), path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> CreateUncached(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kCreate, path));
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, real_.CreateUncached(path));
    SetSyncedSize(path, 0);
    return std::make_unique<File>(*this, std::move(file), path);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kOpenForAppend, path));
    int64_t size = FileSize(path).value_or(0);
    ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, real_.OpenForAppend(path));
    absl::MutexLock lock(&mutex_);
    synced_size_.try_emplace(path, size);  // what was there before this object is taken as durable
    return std::make_unique<File>(*this, std::move(file), path);
  }
  absl::Status Truncate(const std::string& path, int64_t size) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kTruncate, path));
    ATTUNE_RETURN_IF_ERROR(real_.Truncate(path, size));
    absl::MutexLock lock(&mutex_);
    if (auto found = synced_size_.find(path); found != synced_size_.end())
      found->second = std::min(found->second, size);
    return absl::OkStatus();
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kRename, from));
    ATTUNE_RETURN_IF_ERROR(real_.Rename(from, to));
    absl::MutexLock lock(&mutex_);
    if (auto node = synced_size_.extract(from); !node.empty()) synced_size_[to] = node.mapped();
    return absl::OkStatus();
  }
  absl::Status SyncDirectory(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kSyncDirectory, path));
    return real_.SyncDirectory(path);
  }
  absl::Status CreateDirectories(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kCreateDirectories, path));
    return real_.CreateDirectories(path);
  }
  absl::Status Remove(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kRemove, path));
    return real_.Remove(path);
  }
  absl::Status RemoveRecursively(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kRemoveRecursively, path));
    return real_.RemoveRecursively(path);
  }
  absl::Status Link(const std::string& from, const std::string& to) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kLink, from));
    return real_.Link(from, to);
  }
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) override {
    ATTUNE_RETURN_IF_ERROR(Enter(FileOp::kFreeBytes, path));
    {
      absl::MutexLock lock(&mutex_);
      if (free_bytes_.has_value()) return *free_bytes_;
    }
    return real_.FreeBytes(path);
  }

 private:
  class File final : public WritableFile {
   public:
    File(FaultInjectingFiles& owner, std::unique_ptr<WritableFile> real, std::string path)
        : owner_(owner), real_(std::move(real)), path_(std::move(path)) {}

    absl::Status Append(std::string_view data) override {
      auto [allowed, status] = owner_.EnterAppend(path_, static_cast<int64_t>(data.size()));
      ATTUNE_RETURN_IF_ERROR(real_->Append(data.substr(0, static_cast<size_t>(allowed))));
      return status;
    }
    absl::Status Sync() override {
      ATTUNE_RETURN_IF_ERROR(owner_.Enter(FileOp::kSync, path_));
      const int64_t covered = FileSize(path_).value_or(0);  // before: another thread may append meanwhile
      ATTUNE_RETURN_IF_ERROR(real_->Sync());
      owner_.SetSyncedSize(path_, covered);
      return absl::OkStatus();
    }
    absl::Status Close() override {
      absl::Status status = owner_.Enter(FileOp::kClose, path_);
      ATTUNE_RETURN_IF_ERROR(real_->Close());
      return status;
    }

   private:
    FaultInjectingFiles& owner_;
    std::unique_ptr<WritableFile> real_;
    const std::string path_;
  };

  // The fault that this call meets, if any; counts the call against every fault that it matches.
  std::optional<FileFault> NextFault(FileOp op, const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    calls_.emplace_back(op, path);
    for (FileFault& fault : faults_) {
      if (fault.op.has_value() && *fault.op != op) continue;
      if (path.find(fault.path_contains) == std::string::npos || fault.times == 0) continue;
      if (fault.skip > 0) {
        --fault.skip;
        continue;
      }
      if (fault.times > 0) --fault.times;
      return fault;
    }
    return std::nullopt;
  }

  absl::Status Enter(FileOp op, const std::string& path) {
    absl::MutexLock lock(&mutex_);
    std::optional<FileFault> fault = NextFault(op, path);
    return fault.has_value() ? fault->status : absl::OkStatus();
  }

  // How many of `size` bytes reach the file, and what Append returns after that.
  std::pair<int64_t, absl::Status> EnterAppend(const std::string& path, int64_t size) {
    absl::MutexLock lock(&mutex_);
    if (std::optional<FileFault> fault = NextFault(FileOp::kAppend, path)) {
      return {std::min(size, fault->short_write), fault->status};
    }
    if (!bytes_left_.has_value()) return {size, absl::OkStatus()};
    int64_t allowed = std::min(size, *bytes_left_);
    *bytes_left_ -= allowed;
    if (allowed == size) return {size, absl::OkStatus()};
    return {allowed, absl::ResourceExhaustedError("write " + path + ": No space left on device (injected)")};
  }

  void SetSyncedSize(const std::string& path, int64_t size) {
    absl::MutexLock lock(&mutex_);
    synced_size_[path] = size;
  }

  Files& real_;
  mutable absl::Mutex mutex_;
  std::vector<FileFault> faults_ ABSL_GUARDED_BY(mutex_);
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> synced_size_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> bytes_left_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> free_bytes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune
