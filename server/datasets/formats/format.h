// Formats of uploaded files. A format is one file here that registers itself; nothing else lists them. RowReaders are
// not thread-safe.
//
//   // parquet_format.cc
//   const FormatRegistration kParquet({v1::FILE_FORMAT_PARQUET, "PARQUET", {".parquet"}, &OpenParquet});
//
//   ATTUNE_ASSIGN_OR_RETURN(const Format* format, FindFormat(request.format(), "train.csv.gz"));
//   ATTUNE_ASSIGN_OR_RETURN(auto reader, format->open({.file = {...}, .columns = {...}}));
//   Row row;
//   while (true) { ATTUNE_ASSIGN_OR_RETURN(bool got, reader->Next(row)); if (!got) break; ... }
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "server/datasets/formats/byte_source.h"
#include "server/datasets/formats/columns.h"
#include "server/datasets/formats/row.h"

namespace attune::datasets {

class ArchiveReader;  // server/datasets/images/archive_reader.h
struct ArchiveLimits;

// Reads rows one after the other in bounded memory.
class RowReader {
 public:
  virtual ~RowReader() = default;
  // Fills in `row` and returns true; false at the end. A row that cannot be read is returned with its fault, and
  // reading goes on after it. Errors concern the whole file and end the reading: INVALID_ARGUMENT (corrupt, missing
  // column, ...), INTERNAL (disk).
  virtual absl::StatusOr<bool> Next(Row& row) = 0;
  // Bytes of the file read so far, packed as they are there.
  virtual int64_t file_bytes() const = 0;
};

struct ReaderOptions {
  InputFile file;
  ColumnNames columns;
  size_t max_row_bytes = size_t{4} << 20;  // longer rows are ROW_TOO_LONG faults
};

struct Format {
  v1::FileFormat id = v1::FILE_FORMAT_UNSPECIFIED;
  std::string name;                  // "CSV"
  std::vector<std::string> endings;  // ".csv"
  // One of the two; neither of IDX, where two files make one source of images (images/idx_reader.h).
  absl::StatusOr<std::unique_ptr<RowReader>> (*open)(const ReaderOptions& options) = nullptr;
  absl::StatusOr<std::unique_ptr<ArchiveReader>> (*open_archive)(const InputFile& file,
                                                                 const ArchiveLimits& limits) = nullptr;
  // Whether its files hold images. Files of other formats beside them are manifests.
  bool holds_images() const { return open == nullptr; }
};

class FormatRegistration {
 public:
  explicit FormatRegistration(Format format);
};

// All formats, by id.
std::vector<const Format*> AllFormats();

// The format `id`; when that is unspecified, the one that the ending of `filename` means, .gz and .zst left aside.
// INVALID_ARGUMENT that lists what there is.
absl::StatusOr<const Format*> FindFormat(v1::FileFormat id, std::string_view filename);

}  // namespace attune::datasets
