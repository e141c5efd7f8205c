// ByteSource: the bytes of an uploaded file, unpacked where it is gzip or zstd. Sequential, bounded memory. Owned by a
// RowReader. Not thread-safe.
//
// What a file is, its first bytes say; the ending of its name must not contradict them. Concatenated gzip members and
// zstd frames are one stream. Errors: INVALID_ARGUMENT that names the file and says what to do, when it is cut short,
// corrupt, or unpacks to more than its limits; INTERNAL when the disk fails.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto source, OpenInput({.path = path, .filename = "train.csv.gz"}));
//   ATTUNE_ASSIGN_OR_RETURN(size_t n, source->Read(buffer, sizeof buffer));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace attune::datasets {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Reads up to `capacity` bytes (more than 0). Returns 0 at the end only.
  virtual absl::StatusOr<size_t> Read(char* out, size_t capacity) = 0;
  // Bytes taken from the file itself so far, packed as they are there.
  virtual int64_t file_bytes() const = 0;
};

struct InputFile {
  std::string path;      // where the bytes are
  std::string filename;  // as uploaded, for messages and for its ending
  int64_t max_unpacked_bytes = int64_t{64} << 30;
  // Unpacked bytes for each packed one, once kFreeUnpackedBytes are unpacked. Rows with a long prompt in common take zstd to 600; gzip ends at 1032.
  int64_t max_expansion = 2000;
};
inline constexpr int64_t kFreeUnpackedBytes = int64_t{64} << 20;
inline constexpr int64_t kMaxImageExpansion = 200;  // no photo is packed so densely

absl::StatusOr<std::unique_ptr<ByteSource>> OpenInput(const InputFile& file);

// The streams that OpenInput puts over the file.
absl::StatusOr<std::unique_ptr<ByteSource>> UnpackGzip(std::unique_ptr<ByteSource> packed, const InputFile& file);
absl::StatusOr<std::unique_ptr<ByteSource>> UnpackZstd(std::unique_ptr<ByteSource> packed, const InputFile& file);

// Errors of a packed file, the same words for each kind of packing.
absl::Status CutShort(const InputFile& file, const char* packing);
absl::Status Corrupt(const InputFile& file, const char* packing, const std::string& detail);
// OK while `unpacked` bytes out of the first `packed` ones are within the file's limits.
absl::Status CheckExpansion(const InputFile& file, int64_t unpacked, int64_t packed);

}  // namespace attune::datasets
