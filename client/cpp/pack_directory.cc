#include "client/cpp/pack_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "server/base/errno_status.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr size_t kBlock = 512;
constexpr int64_t kMaxOctalSize = (int64_t{1} << 33) - 1;  // 11 octal digits

// `value` in octal with leading zeros and a final NUL, as tar's headers have numbers.
void PutOctal(int64_t value, char* field, size_t width) {
  std::snprintf(field, width, "%0*llo", static_cast<int>(width - 1), static_cast<long long>(value));
}

// A header block of the ustar format (POSIX.1-1988), as GNU tar writes it.
std::string Header(const std::string& name, char type, int64_t size) {
  std::string block(kBlock, '\0');
  name.copy(block.data(), 100);
  PutOctal(type == '5' ? 0755 : 0644, &block[100], 8);
  PutOctal(0, &block[108], 8);
  PutOctal(0, &block[116], 8);
  PutOctal(size, &block[124], 12);
  PutOctal(0, &block[136], 12);
  block[156] = type;
  std::string("ustar  ").copy(&block[257], 7);
  std::fill_n(&block[148], 8, ' ');
  int sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(&block[148], 8, "%06o", static_cast<unsigned>(sum));
  return block;
}

std::string Padding(int64_t size) { return std::string((kBlock - static_cast<size_t>(size) % kBlock) % kBlock, '\0'); }

// Names of over 100 bytes come in an entry of their own before (GNU's long names).
std::string Headers(const std::string& name, char type, int64_t size) {
  if (name.size() <= 100) return Header(name, type, size);
  const auto bytes = static_cast<int64_t>(name.size() + 1);
  return Header("././@LongLink", 'L', bytes) + name + '\0' + Padding(bytes) + Header(name, type, size);
}

struct Entry {
  std::string name;  // below the directory; folders end with a slash
  std::string path;
};

absl::Status List(const std::string& directory, std::vector<Entry>& entries) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::recursive_directory_iterator at(directory, error), end;
  for (; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    const bool is_folder = at->is_directory(error);
    if (name.starts_with('.')) {
      if (is_folder) at.disable_recursion_pending();
      continue;
    }
    if (!is_folder && !at->is_regular_file(error)) continue;
    entries.push_back({fs::path(at->path()).lexically_relative(directory).generic_string() + (is_folder ? "/" : ""),
                       at->path().string()});
  }
  if (error) return ErrnoStatus(error.value(), "cannot read", directory);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return absl::OkStatus();
}

absl::Status AppendFile(const Entry& entry, WritableFile& tar) {
  const int fd = ::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", entry.path);
  const std::unique_ptr<const int, void (*)(const int*)> close(&fd, [](const int* open) { ::close(*open); });
  struct stat info{};
  if (::fstat(fd, &info) != 0) return ErrnoStatus(errno, "cannot look at", entry.path);
  if (info.st_size > kMaxOctalSize)
    return absl::InvalidArgumentError(StrCat(entry.path, " has over 8 GiB: leave it out of the folder"));
  ATTUNE_RETURN_IF_ERROR(tar.Append(Headers(entry.name, '0', info.st_size)));
  std::vector<char> piece(size_t{256} << 10);
  int64_t left = info.st_size;
  while (left > 0) {
    const ssize_t n = ::read(fd, piece.data(), std::min<size_t>(piece.size(), static_cast<size_t>(left)));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", entry.path);
    if (n == 0) {
      return absl::InvalidArgumentError(
          StrCat(entry.path, " became shorter while it was being packed: try again when nothing writes to it"));
    }
    ATTUNE_RETURN_IF_ERROR(tar.Append({piece.data(), static_cast<size_t>(n)}));
    left -= n;
  }
  return tar.Append(Padding(info.st_size));
}

}  // namespace

absl::Status PackDirectory(const std::string& directory, const std::string& tar_path) {
  std::vector<Entry> entries;
  ATTUNE_RETURN_IF_ERROR(List(directory, entries));
  if (std::none_of(entries.begin(), entries.end(), [](const Entry& entry) { return !entry.name.ends_with('/'); })) {
    return absl::InvalidArgumentError(
        StrCat(directory, " has no files: put images into it, in a folder for each class"));
  }
  ATTUNE_ASSIGN_OR_RETURN(auto tar, Files::Posix().Create(tar_path));
  for (const Entry& entry : entries) {
    if (entry.name.ends_with('/')) {
      ATTUNE_RETURN_IF_ERROR(tar->Append(Headers(entry.name, '5', 0)));
    } else {
      ATTUNE_RETURN_IF_ERROR(AppendFile(entry, *tar));
    }
  }
  ATTUNE_RETURN_IF_ERROR(tar->Append(std::string(2 * kBlock, '\0')));
  return tar->Close();
}

}  // namespace attune::client
