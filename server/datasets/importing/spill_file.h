// The rows of an import between its two passes: on disk, because texts are not kept in memory. Sequential. Not
// thread-safe, local to one import and in this machine's byte order. Errors are those of Files; DATA_LOSS when the file
// is not what was written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"

namespace attune::datasets {

struct SpilledRow {
  uint32_t row = 0;   // among all rows read; of images some may be here that the dataset leaves out
  uint32_t file = 0;  // index among the import's files
  int64_t line = 0;
  double value = 0;
  bool has_text_pair = false;
  std::string_view text;
  std::string_view text_pair;
  std::string_view entry;  // images
  std::string_view image;
};

class SpillWriter {
 public:
  static absl::StatusOr<std::unique_ptr<SpillWriter>> Create(Files& files, const std::string& path);
  absl::Status Add(const SpilledRow& row);
  absl::Status Finish();

 private:
  explicit SpillWriter(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  const std::unique_ptr<WritableFile> file_;
  std::string buffer_;
};

class SpillReader {
 public:
  static absl::StatusOr<std::unique_ptr<SpillReader>> Open(const std::string& path);
  ~SpillReader();
  SpillReader(const SpillReader&) = delete;
  SpillReader& operator=(const SpillReader&) = delete;
  // The next row; views are valid until the next call.
  absl::Status Next(SpilledRow& row);
  // The row with this number, which comes after the last one.
  absl::Status Find(uint32_t number, SpilledRow& row);

 private:
  explicit SpillReader(int fd) : fd_(fd) {}
  // Sees to it that `bytes` are in memory from position_ on.
  absl::Status Need(size_t bytes);

  // Read, not mapped: pages of a mapping would count as this process's memory.
  const int fd_;
  std::string buffer_;
  size_t position_ = 0;
};

}  // namespace attune::datasets
