#include "tests/fuzz/driver/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::fuzz {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: this must hold, and does not: %s\n", what);
  std::abort();
}

void RequireRefusal(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) std::fprintf(stderr, "fuzz: %s\n", status.ToString().c_str());
  Require(absl::IsInvalidArgument(status), "what is wrong with an input is INVALID_ARGUMENT");
  const std::string_view message(status.message().data(), status.message().size());
  if (FirstInvalidUtf8(message)) std::fprintf(stderr, "fuzz: %s\n", status.ToString().c_str());
  Require(!FirstInvalidUtf8(message), "messages are UTF-8");
  Require(!message.empty() && message.size() < 100'000, "messages are there, and for people");
}

MemoryFile::MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)), path_(StrCat("/proc/self/fd/", fd_)) {
  Require(fd_ >= 0, "there are files in memory");
}

MemoryFile::~MemoryFile() { ::close(fd_); }

const std::string& MemoryFile::Put(std::string_view content) {
  Require(::ftruncate(fd_, 0) == 0, "a file in memory can be cut");
  for (size_t at = 0; at < content.size();) {
    const ssize_t n = ::pwrite(fd_, content.data() + at, content.size() - at, static_cast<off_t>(at));
    Require(n > 0, "a file in memory can be written");
    at += static_cast<size_t>(n);
  }
  return path_;
}

uint8_t Pieces::Byte() {
  const std::string_view byte = Take(1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}

std::string_view Pieces::Take(size_t size) {
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(taken.size());
  return taken;
}

std::string_view Pieces::TakeCounted() {
  const size_t low = Byte();
  return Take(low | size_t{Byte()} << 8);
}

}  // namespace attune::fuzz
