#include "server/backup/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "server/base/errno_status.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::backup {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

struct CloseArchive {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

class Archive {
 public:
  explicit Archive(const std::function<absl::Status(std::string_view)>& write) : write_(write), writer_(archive_write_new()) {}

  absl::Status Open() {
    archive_write_set_format_pax_restricted(writer_.get());
    archive_write_set_bytes_per_block(writer_.get(), kChunkBytes);
    archive_write_set_bytes_in_last_block(writer_.get(), 1);
    return Check(archive_write_open(writer_.get(), this, nullptr, &Archive::Write, nullptr));
  }

  absl::Status BeginEntry(const std::string& name, int64_t bytes, time_t modified) {
    std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_size(entry.get(), bytes);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), modified, 0);
    return Check(archive_write_header(writer_.get(), entry.get()));
  }

  absl::Status Add(std::string_view data) { return Check(static_cast<int>(std::min<la_ssize_t>(0, archive_write_data(writer_.get(), data.data(), data.size())))); }
  absl::Status Close() { return Check(archive_write_close(writer_.get())); }

 private:
  static la_ssize_t Write(archive* writer, void* self, const void* data, size_t bytes) {
    auto* archive = static_cast<Archive*>(self);
    archive->status_ = archive->write_({static_cast<const char*>(data), bytes});
    if (archive->status_.ok()) return static_cast<la_ssize_t>(bytes);
    archive_set_error(writer, ECANCELED, "the reader left");
    return -1;
  }

  absl::Status Check(int code) {
    ATTUNE_RETURN_IF_ERROR(status_);
    if (code >= ARCHIVE_WARN) return absl::OkStatus();
    return absl::InternalError(StrCat("the archive cannot be written: ", archive_error_string(writer_.get())));
  }

  const std::function<absl::Status(std::string_view)>& write_;
  absl::Status status_;
  std::unique_ptr<archive, CloseArchive> writer_;
};

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// The size is the one that the file has now: an upload that is cut meanwhile is filled up with zeros, which its row does not count.
absl::Status AddFile(const std::string& path, const std::string& name, Archive& out, std::string* sums) {
  OpenFile file(path);
  struct stat found = {};
  if (file.fd() < 0 || fstat(file.fd(), &found) != 0) return ErrnoStatus(errno, "read", path);
  ATTUNE_RETURN_IF_ERROR(out.BeginEntry(name, found.st_size, found.st_mtime));
  Sha256 hash;
  std::string chunk;
  for (int64_t left = found.st_size; left > 0; left -= static_cast<int64_t>(chunk.size())) {
    chunk.resize(static_cast<size_t>(std::min<int64_t>(left, kChunkBytes)));
    size_t filled = 0;
    while (filled < chunk.size()) {
      const ssize_t got = read(file.fd(), chunk.data() + filled, chunk.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "read", path);
      if (got == 0) std::fill(chunk.begin() + static_cast<ptrdiff_t>(filled), chunk.end(), '\0');
      filled = got == 0 ? chunk.size() : filled + static_cast<size_t>(got);
    }
    hash.Update(chunk);
    ATTUNE_RETURN_IF_ERROR(out.Add(chunk));
  }
  StrAppend(sums, hash.HexDigest(), "  ", name, "\n");
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteArchive(const BackupSnapshot& snapshot, const std::function<absl::Status(std::string_view)>& write) {
  Archive out(write);
  ATTUNE_RETURN_IF_ERROR(out.Open());
  std::string sums;
  for (const std::string& name : snapshot.names()) ATTUNE_RETURN_IF_ERROR(AddFile(StrCat(snapshot.directory(), "/", name), name, out, &sums));
  ATTUNE_RETURN_IF_ERROR(out.BeginEntry(kSumsName, static_cast<int64_t>(sums.size()), time(nullptr)));
  ATTUNE_RETURN_IF_ERROR(out.Add(sums));
  return out.Close();
}

}  // namespace attune::backup
