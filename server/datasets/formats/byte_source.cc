#include "server/datasets/formats/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

class FileSource final : public ByteSource {
 public:
  FileSource(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~FileSource() override { ::close(fd_); }

  absl::StatusOr<size_t> Read(char* out, size_t capacity) override {
    ssize_t n = -1;
    do {
      n = ::read(fd_, out, capacity);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return ErrnoStatus(errno, "cannot read", path_);
    file_bytes_ += n;
    return static_cast<size_t>(n);
  }
  int64_t file_bytes() const override { return file_bytes_; }

  // The first bytes, without moving on.
  absl::StatusOr<std::string> Peek(size_t size) const {
    std::string bytes(size, '\0');
    const ssize_t n = ::pread(fd_, bytes.data(), size, 0);
    if (n < 0) return ErrnoStatus(errno, "cannot read", path_);
    bytes.resize(static_cast<size_t>(n));
    return bytes;
  }

 private:
  const int fd_;
  const std::string path_;
  int64_t file_bytes_ = 0;
};

absl::Status NotPacked(const InputFile& file, const char* ending, const char* packing) {
  return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename), " ends in ", ending, " but is not a ",
                                           packing, " file: upload it under its real name, or pack it with ", packing));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenInput(const InputFile& file) {
  const int fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", file.path);
  auto source = std::make_unique<FileSource>(fd, file.path);
  ATTUNE_ASSIGN_OR_RETURN(const std::string start, source->Peek(kZstdMagic.size()));
  // Neither magic can start a text in UTF-8, so a packed file is recognised whatever it is called.
  if (start.compare(0, kGzipMagic.size(), kGzipMagic) == 0) return UnpackGzip(std::move(source), file);
  if (start == kZstdMagic) return UnpackZstd(std::move(source), file);
  const std::string name = absl::AsciiStrToLower(file.filename);
  if (std::string_view(name).ends_with(".gz")) return NotPacked(file, ".gz", "gzip");
  if (std::string_view(name).ends_with(".zst")) return NotPacked(file, ".zst", "zstd");
  return source;
}

absl::Status CutShort(const InputFile& file, const char* packing) {
  return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename), " is cut short: its ", packing,
                                           " stream has no end. Pack it again and upload it again"));
}

absl::Status Corrupt(const InputFile& file, const char* packing, const std::string& detail) {
  return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename), " is corrupt (", packing, ": ", detail,
                                           "). Pack it again and upload it again"));
}

absl::Status CheckExpansion(const InputFile& file, int64_t unpacked, int64_t packed) {
  if (unpacked > file.max_unpacked_bytes) {
    return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename), " unpacks to more than ",
                                             file.max_unpacked_bytes,
                                             " bytes, the most that this server accepts: split it into several files"));
  }
  if (unpacked <= kFreeUnpackedBytes || unpacked / file.max_expansion <= packed) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("file ", Quoted(file.filename), " unpacks to more than ", file.max_expansion,
             " times its size, as decompression bombs do: pack it less densely, or not at all"));
}

}  // namespace attune::datasets
