// ZIP: read by the directory at the archive's end, so that entries that were deleted or hidden are not seen.
#include <archive.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "server/base/errno_status.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/images/archive_reader.h"

namespace attune::datasets {
namespace {

class SeekableFeed final : public ArchiveFeed {
 public:
  SeekableFeed(int fd, std::string path, int64_t size)
      : fd_(fd), path_(std::move(path)), size_(size), piece_(size_t{64} << 10) {}
  ~SeekableFeed() override { ::close(fd_); }

  absl::StatusOr<std::string_view> Read() override {
    ssize_t n = -1;
    do {
      n = ::pread(fd_, piece_.data(), piece_.size(), position_);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return ErrnoStatus(errno, "cannot read", path_);
    position_ += n;
    read_bytes_ += n;
    return std::string_view(piece_.data(), static_cast<size_t>(n));
  }
  absl::StatusOr<int64_t> Seek(int64_t offset, int whence) override {
    const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : size_;
    // Offsets come from the archive: never before the file, and reading behind it is its end.
    if (offset < -from) return absl::InvalidArgumentError("an offset leads out of the archive: pack it again");
    return position_ = from + std::min(offset, size_ - std::min(from, size_));
  }
  bool can_seek() const override { return true; }
  // Entries that share their content are read again and again.
  int64_t file_bytes() const override { return std::min(read_bytes_, size_); }

 private:
  const int fd_;
  const std::string path_;
  const int64_t size_;
  std::vector<char> piece_;
  int64_t position_ = 0;
  int64_t read_bytes_ = 0;
};

const FormatRegistration kZip({v1::FILE_FORMAT_ZIP, "ZIP", {".zip"}, nullptr, &OpenZip});

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenZip(const InputFile& file, const ArchiveLimits& limits) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t size, FileSize(file.path));
  const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", file.path);
  return ArchiveReader::Open(file, limits, std::make_unique<SeekableFeed>(fd, file.path, size),
                             &archive_read_support_format_zip_seekable, "ZIP");
}

}  // namespace attune::datasets
