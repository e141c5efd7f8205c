// FeatureStore: outputs of frozen layers on disk, computed once and used by later epochs, phases and jobs. A table has a row of floats for each row of a split, under a
// key that spells out everything that decides the values: where one byte of weights, data or preprocessing differs, the key does, and the table is not found. Bounded in
// size: the tables that were used longest ago go first. Several processes may share a directory. Torch-free.
//
//   FeatureStore store(Files::Posix(), directory, /*max_bytes=*/8 << 30);
//   auto table = store.Find(key);                      // null: compute it
//   auto writer = store.Create(key, rows, {1280});     // null: too large for the store
//   writer->Append(values, count); ...; table = *writer->Finish();
//
// {sha256 of key}.features is the values (little-endian float32, row-major), then a JSON footer {key, rows, shape, sha256}, its length (u64) and a magic number. A file is
// whole or absent: it is written under a temporary name that carries the process id, synced and renamed. Errors are those of Files. Not thread-safe; tables are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"
#include "server/base/sha256.h"

namespace attune::training {

// A mapped, checked table. Immutable; stays usable when its file is evicted.
class FeatureTable {
 public:
  // DATA_LOSS when the file is not a whole table, or its digest differs.
  static absl::StatusOr<std::shared_ptr<const FeatureTable>> Open(const std::string& path);
  const std::string& key() const { return key_; }
  int64_t rows() const { return rows_; }
  const std::vector<int64_t>& shape() const { return shape_; }  // of a row
  int64_t row_values() const { return row_values_; }
  const float* row(int64_t index) const { return values_ + index * row_values_; }

 private:
  FeatureTable() = default;
  absl::Status ReadFooter(std::string_view file);
  std::shared_ptr<const MappedFile> mapping_;
  std::string key_;
  int64_t rows_ = 0;
  std::vector<int64_t> shape_;
  int64_t row_values_ = 1;
  const float* values_ = nullptr;
};

// Writes one table, rows in order. Destroyed before Finish: nothing is left.
class FeatureWriter {
 public:
  ~FeatureWriter();
  absl::Status Append(const float* values, int64_t rows);
  // FAILED_PRECONDITION when rows are missing.
  absl::StatusOr<std::shared_ptr<const FeatureTable>> Finish();

 private:
  friend class FeatureStore;
  FeatureWriter(Files& files, std::string path, std::string key, int64_t rows, std::vector<int64_t> shape);
  Files& files_;
  const std::string path_, temporary_;
  const std::string key_;
  const int64_t rows_;
  const std::vector<int64_t> shape_;
  int64_t row_values_ = 1;
  int64_t written_ = 0;
  Sha256 digest_;
  std::unique_ptr<WritableFile> file_;
};

class FeatureStore {
 public:
  FeatureStore(Files& files, std::string directory, int64_t max_bytes);
  // Null when there is none; a damaged one is removed. Marks the table as used now.
  std::shared_ptr<const FeatureTable> Find(const std::string& key);
  // Makes room by evicting the tables that were used longest ago. Null when the table alone would not fit into the store.
  absl::StatusOr<std::unique_ptr<FeatureWriter>> Create(const std::string& key, int64_t rows, const std::vector<int64_t>& shape);
  int64_t max_bytes() const { return max_bytes_; }

 private:
  std::string PathOf(const std::string& key) const;
  absl::Status MakeRoom(int64_t bytes);

  Files& files_;
  const std::string directory_;
  const int64_t max_bytes_;
};

}  // namespace attune::training
