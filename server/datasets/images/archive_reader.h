// ArchiveReader: the entries of an uploaded archive, one after the other, in bounded memory. A cover over libarchive
// that trusts nothing: names are handed over as they stand and never become paths on a disk. Not thread-safe.
//
// Errors concern the archive as a whole and end the reading: INVALID_ARGUMENT that names the file and says what to do
// when it is no archive, cut short, corrupt, or unpacks to more than it may; INTERNAL when the disk fails.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto reader, format->open_archive({.path = path, .filename = "photos.tar"}, {}));
//   ArchiveEntry entry;
//   while (true) {
//     ATTUNE_ASSIGN_OR_RETURN(bool got, reader->Next(entry));
//     if (!got) break;
//     ATTUNE_ASSIGN_OR_RETURN(EntryContent content, reader->Read(64 << 20, bytes));
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/datasets/formats/byte_source.h"

struct archive;
struct archive_entry;

namespace attune::datasets {

struct ArchiveLimits {
  int64_t max_entries = 2'000'000;
};

struct ArchiveEntry {
  enum class Type { kFile, kDirectory, kSymbolicLink, kHardLink, kSpecial };
  std::string name;  // as it stands in the archive: any bytes
  Type type = Type::kFile;
};

// What became of an entry's content.
struct EntryContent {
  enum class Outcome { kRead, kTooLarge, kDamaged };
  Outcome outcome = Outcome::kRead;
  std::string detail;  // kDamaged: why, for people
};

// Where libarchive takes the archive's bytes from.
class ArchiveFeed {
 public:
  virtual ~ArchiveFeed() = default;
  // The next piece, valid until the next call; empty at the end.
  virtual absl::StatusOr<std::string_view> Read() = 0;
  // The new position, as lseek; only of feeds that can.
  virtual absl::StatusOr<int64_t> Seek(int64_t offset, int whence);
  virtual bool can_seek() const { return false; }
  // Bytes of the file itself that were read, each counted once.
  virtual int64_t file_bytes() const = 0;
};

class ArchiveReader {
 public:
  // `enable` is one of libarchive's archive_read_support_format_*; `name` is the format's, for messages ("tar").
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const InputFile& file, const ArchiveLimits& limits,
                                                             std::unique_ptr<ArchiveFeed> feed,
                                                             int (*enable)(struct archive*), const char* name);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  // False at the end. Content that was not read is passed over.
  absl::StatusOr<bool> Next(ArchiveEntry& entry);
  // The content of the entry that Next returned, at most once. It may be in `bytes` in part when it is not kRead.
  absl::StatusOr<EntryContent> Read(int64_t max_bytes, std::string& bytes);
  int64_t file_bytes() const { return feed_->file_bytes(); }

 private:
  ArchiveReader(InputFile file, const ArchiveLimits& limits, std::unique_ptr<ArchiveFeed> feed, const char* name)
      : file_(std::move(file)), limits_(limits), feed_(std::move(feed)), name_(name) {}
  static ptrdiff_t OnRead(struct archive*, void* self, const void** piece);
  static int64_t OnSeek(struct archive*, void* self, int64_t offset, int whence);
  absl::Status Failure() const;
  absl::Status CheckExpansion() const;

  const InputFile file_;
  const ArchiveLimits limits_;
  const std::unique_ptr<ArchiveFeed> feed_;
  const char* const name_;
  struct archive* archive_ = nullptr;
  struct archive_entry* entry_ = nullptr;  // libarchive's, valid until the next
  absl::Status feed_status_;
  int64_t fed_bytes_ = 0;
  int64_t unpacked_bytes_ = 0;
  int64_t entries_ = 0;
};

// The formats' readers (tar_format.cc, zip_format.cc).
absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenTar(const InputFile& file, const ArchiveLimits& limits);
absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenZip(const InputFile& file, const ArchiveLimits& limits);

}  // namespace attune::datasets
