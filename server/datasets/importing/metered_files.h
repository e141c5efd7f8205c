// MeteredFiles: another Files whose appends are counted, so that an import cannot store more than its project may have left. What is appended below `directory` (the dataset) and what is
// appended elsewhere (scratch space, gone with the import) are counted apart; whenever either has grown by kMeterStep, `check` is asked about the larger, and its error is the append's.
// Thread-safe if `files` is; it must outlive what it opens.
//
//   MeteredFiles metered(files, scratch + "/dataset", [&](int64_t bytes) { return quotas.Check(project, bytes); });
//   ATTUNE_RETURN_IF_ERROR(RunImport(plan, metered, ...));
//   ATTUNE_RETURN_IF_ERROR(metered.Check());  // of the last step
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/base/files.h"

namespace attune::datasets {

inline constexpr int64_t kMeterStep = 64 << 20;

class MeteredFiles final : public Files {
 public:
  using BytesCheck = std::function<absl::Status(int64_t bytes)>;

  // An empty `check` allows everything.
  MeteredFiles(Files& files, std::string directory, BytesCheck check) : files_(files), directory_(std::move(directory) + "/"), check_(std::move(check)) {}

  absl::Status Check() const;

  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<WritableFile>> CreateUncached(const std::string& path) override;
  absl::Status Truncate(const std::string& path, int64_t size) override { return files_.Truncate(path, size); }
  absl::Status Rename(const std::string& from, const std::string& to) override { return files_.Rename(from, to); }
  absl::Status SyncDirectory(const std::string& path) override { return files_.SyncDirectory(path); }
  absl::Status CreateDirectories(const std::string& path) override { return files_.CreateDirectories(path); }
  absl::Status Remove(const std::string& path) override { return files_.Remove(path); }
  absl::Status RemoveRecursively(const std::string& path) override { return files_.RemoveRecursively(path); }
  absl::Status Link(const std::string& from, const std::string& to) override { return files_.Link(from, to); }
  absl::StatusOr<int64_t> FreeBytes(const std::string& path) override { return files_.FreeBytes(path); }

 private:
  class File;
  absl::StatusOr<std::unique_ptr<WritableFile>> Meter(const std::string& path, absl::StatusOr<std::unique_ptr<WritableFile>> file);
  absl::Status Count(bool kept, int64_t bytes);

  Files& files_;
  const std::string directory_;
  const BytesCheck check_;
  std::atomic<int64_t> kept_{0}, scratch_{0};
};

}  // namespace attune::datasets
