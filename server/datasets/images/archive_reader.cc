#include "server/datasets/images/archive_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kPieceBytes = size_t{256} << 10;
// A ZIP's directory is read, and held, before its first entry.
constexpr int64_t kDirectoryBytesForEntry = 128;
constexpr int64_t kSmallDirectoryBytes = int64_t{1} << 20;

// libarchive converts names to the thread's character set, which must be UTF-8 for them to come through whole.
class Utf8Names {
 public:
  Utf8Names() : before_(uselocale(Utf8())) {}
  ~Utf8Names() { uselocale(before_); }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return utf8;  // null, which changes nothing, where a system has no such locale
  }
  const locale_t before_;
};

std::string Detail(struct archive* archive) {
  const char* text = archive_error_string(archive);
  return text == nullptr ? "no details" : text;
}

ArchiveEntry::Type TypeOf(struct archive_entry* entry) {
  // A hard link looks like a file otherwise.
  if (archive_entry_hardlink(entry) != nullptr) return ArchiveEntry::Type::kHardLink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return ArchiveEntry::Type::kFile;
    case AE_IFDIR:
      return ArchiveEntry::Type::kDirectory;
    case AE_IFLNK:
      return ArchiveEntry::Type::kSymbolicLink;
    default:
      return ArchiveEntry::Type::kSpecial;
  }
}

}  // namespace

absl::StatusOr<int64_t> ArchiveFeed::Seek(int64_t, int) { return absl::UnimplementedError("this feed cannot seek"); }

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const InputFile& file, const ArchiveLimits& limits,
                                                                   std::unique_ptr<ArchiveFeed> feed,
                                                                   int (*enable)(struct archive*), const char* name) {
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(file, limits, std::move(feed), name));
  reader->archive_ = archive_read_new();
  struct archive* archive = reader->archive_;
  if (archive == nullptr) return absl::ResourceExhaustedError("no memory to read an archive");
  if (enable(archive) == ARCHIVE_FATAL) return absl::InternalError(Detail(archive));
  archive_read_set_read_callback(archive, &ArchiveReader::OnRead);
  if (reader->feed_->can_seek()) archive_read_set_seek_callback(archive, &ArchiveReader::OnSeek);
  archive_read_set_callback_data(archive, reader.get());
  const Utf8Names utf8;
  if (archive_read_open1(archive) != ARCHIVE_OK) return reader->Failure();
  return reader;
}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

ptrdiff_t ArchiveReader::OnRead(struct archive* archive, void* self, const void** piece) {
  auto& reader = *static_cast<ArchiveReader*>(self);
  absl::StatusOr<std::string_view> read = reader.feed_->Read();
  if (read.ok()) {
    reader.fed_bytes_ += static_cast<int64_t>(read->size());
    reader.feed_status_ = reader.CheckExpansion();
    const int64_t directory = std::max(kSmallDirectoryBytes, reader.limits_.max_entries * kDirectoryBytesForEntry);
    if (reader.feed_->can_seek() && reader.entries_ == 0 && reader.fed_bytes_ > directory) {
      reader.feed_status_ = absl::InvalidArgumentError(
          StrCat("file ", Quoted(reader.file_.filename, 200), " has more entries than the ", reader.limits_.max_entries,
                 " that this server accepts, or names that are too long: import it in several parts"));
    }
  } else {
    reader.feed_status_ = read.status();
  }
  if (!reader.feed_status_.ok()) {
    archive_set_error(archive, EIO, "the file cannot be read");
    return -1;
  }
  *piece = read->data();
  return static_cast<ptrdiff_t>(read->size());
}

int64_t ArchiveReader::OnSeek(struct archive* archive, void* self, int64_t offset, int whence) {
  auto& reader = *static_cast<ArchiveReader*>(self);
  absl::StatusOr<int64_t> position = reader.feed_->Seek(offset, whence);
  if (position.ok()) return *position;
  reader.feed_status_ = position.status();
  archive_set_error(archive, EIO, "the file cannot be read");
  return ARCHIVE_FATAL;
}

absl::Status ArchiveReader::Failure() const {
  if (!feed_status_.ok()) return feed_status_;
  const std::string detail = Detail(archive_);
  if (detail.find("Unrecognized archive format") != std::string::npos) {
    return absl::InvalidArgumentError(StrCat("file ", Quoted(file_.filename, 200), " is not a ", name_,
                                             " archive, or its end is missing: upload it under its real name, or pack "
                                             "it again"));
  }
  if (detail.find("runcated") != std::string::npos) return CutShort(file_, name_);
  return Corrupt(file_, name_, detail);
}

absl::Status ArchiveReader::CheckExpansion() const {
  return datasets::CheckExpansion(file_, std::max(fed_bytes_, unpacked_bytes_), feed_->file_bytes());
}

absl::StatusOr<bool> ArchiveReader::Next(ArchiveEntry& entry) {
  const Utf8Names utf8;
  // A warning concerns what we do not use: times, owners.
  const int result = archive_read_next_header(archive_, &entry_);
  if (result == ARCHIVE_EOF) {
    if (feed_status_.ok()) return false;
    return feed_status_;
  }
  if (result < ARCHIVE_WARN) return Failure();
  if (++entries_ > limits_.max_entries) {
    return absl::InvalidArgumentError(StrCat("file ", Quoted(file_.filename, 200), " has more than ",
                                             limits_.max_entries, " entries: import it in several parts"));
  }
  const char* name = archive_entry_pathname(entry_);
  entry.name = name == nullptr ? "\xff" : name;  // null: said to be UTF-8, and is not
  entry.type = TypeOf(entry_);
  return true;
}

absl::StatusOr<EntryContent> ArchiveReader::Read(int64_t max_bytes, std::string& bytes) {
  bytes.clear();
  if (archive_entry_is_encrypted(entry_) != 0)
    return EntryContent{EntryContent::Outcome::kDamaged, "it is encrypted: pack it without a password"};
  // A size that is only claimed allocates nothing.
  if (archive_entry_size_is_set(entry_) != 0 && archive_entry_size(entry_) > max_bytes)
    return EntryContent{EntryContent::Outcome::kTooLarge, ""};
  const Utf8Names utf8;
  // Where the size is given, one byte more than it, which shows the end; images stay in memory as large as they are.
  const size_t first = archive_entry_size_is_set(entry_) != 0 ? std::min(kPieceBytes, static_cast<size_t>(std::max<int64_t>(archive_entry_size(entry_), 0)) + 1) : kPieceBytes;
  size_t held = 0;
  while (true) {
    if (held == bytes.size()) bytes.resize(std::max(first, 2 * held));
    const la_ssize_t n = archive_read_data(archive_, bytes.data() + held, bytes.size() - held);
    if (n == 0) break;
    if (n < 0) {
      // After less than that libarchive goes on with the next entry.
      if (n == ARCHIVE_FATAL || !feed_status_.ok()) return Failure();
      return EntryContent{EntryContent::Outcome::kDamaged, Detail(archive_)};
    }
    held += static_cast<size_t>(n);
    unpacked_bytes_ += n;
    ATTUNE_RETURN_IF_ERROR(CheckExpansion());
    if (static_cast<int64_t>(held) > max_bytes) return EntryContent{EntryContent::Outcome::kTooLarge, ""};
  }
  bytes.resize(held);
  return EntryContent{};
}

}  // namespace attune::datasets
