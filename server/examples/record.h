// The bytes of one row in rows.bin, without the length in front. All numbers are little-endian:
//
//   u8  flags       bit 0: has text_pair, bit 1: has value, bit 2: is an image; others must be 0
//   u32 file
//   i64 line
//   u32 labels      how many, then i32 each
//   f64 value       only with bit 1 (when it is not 0)
//   u32 text        bytes, then the text; without bit 2
//   u32 text_pair   bytes, then the text; only with bit 0, never with bit 2
//   u32 entry       bytes, then the path in the archive; only with bit 2
//   u32 image       bytes, at least one, then the image file; only with bit 2
//
// Version 1 of the format is the same without bit 2.
// Pure. DecodeRecord trusts nothing: DATA_LOSS for any input that AppendRecord cannot have written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/examples/example.h"

namespace attune::examples {

inline constexpr int64_t kMaxRecordBytes = int64_t{1} << 30;

int64_t RecordBytes(const Example& example);
void AppendRecord(const Example& example, std::string* out);
// The view's texts and image point into `record`.
absl::StatusOr<ExampleView> DecodeRecord(std::string_view record);

// Little-endian integers as they stand in rows.bin and index.bin; `bytes` must be long enough.
void AppendU32(uint32_t value, std::string* out);
void AppendU64(uint64_t value, std::string* out);
uint32_t LoadU32(const char* bytes);
uint64_t LoadU64(const char* bytes);

}  // namespace attune::examples
