#include "server/datasets/importing/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/base/errno_status.h"
#include "server/base/status_macros.h"

namespace attune::datasets {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

struct Header {
  int64_t line;
  double value;
  uint32_t row;
  uint32_t file;
  uint32_t text_bytes;
  uint32_t pair_bytes;
  uint32_t entry_bytes;
  uint32_t image_bytes;
  uint64_t has_pair;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpillWriter>> SpillWriter::Create(Files& files, const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(auto file, files.Create(path));
  return std::unique_ptr<SpillWriter>(new SpillWriter(std::move(file)));
}

absl::Status SpillWriter::Add(const SpilledRow& row) {
  const Header header{row.line,
                      row.value,
                      row.row,
                      row.file,
                      static_cast<uint32_t>(row.text.size()),
                      static_cast<uint32_t>(row.text_pair.size()),
                      static_cast<uint32_t>(row.entry.size()),
                      static_cast<uint32_t>(row.image.size()),
                      row.has_text_pair};
  buffer_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  for (const std::string_view text : {row.text, row.text_pair, row.entry, row.image}) buffer_.append(text);
  if (buffer_.size() < kBufferBytes) return absl::OkStatus();
  ATTUNE_RETURN_IF_ERROR(file_->Append(buffer_));
  buffer_.clear();
  return absl::OkStatus();
}

// No sync: after a crash the import starts over.
absl::Status SpillWriter::Finish() {
  ATTUNE_RETURN_IF_ERROR(file_->Append(buffer_));
  buffer_.clear();
  return file_->Close();
}

absl::StatusOr<std::unique_ptr<SpillReader>> SpillReader::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "cannot open", path);
  return std::unique_ptr<SpillReader>(new SpillReader(fd));
}

SpillReader::~SpillReader() { ::close(fd_); }

absl::Status SpillReader::Need(size_t bytes) {
  if (buffer_.size() - position_ >= bytes) return absl::OkStatus();
  buffer_.erase(0, position_);
  position_ = 0;
  size_t held = buffer_.size();
  buffer_.resize(std::max(bytes, kBufferBytes));
  while (held < bytes) {
    const ssize_t n = ::read(fd_, buffer_.data() + held, buffer_.size() - held);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read", "the import's temporary file");
    if (n == 0) return absl::DataLossError("the import's temporary file is cut short: import again");
    held += static_cast<size_t>(n);
  }
  buffer_.resize(held);
  return absl::OkStatus();
}

absl::Status SpillReader::Next(SpilledRow& row) {
  Header header;
  ATTUNE_RETURN_IF_ERROR(Need(sizeof(header)));
  std::memcpy(&header, buffer_.data() + position_, sizeof(header));
  const size_t bytes = sizeof(header) + header.text_bytes + header.pair_bytes + header.entry_bytes + header.image_bytes;
  ATTUNE_RETURN_IF_ERROR(Need(bytes));
  std::string_view rest = std::string_view(buffer_).substr(position_ + sizeof(header), bytes - sizeof(header));
  const auto take = [&rest](size_t count) {
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  };
  row.row = header.row;
  row.file = header.file;
  row.line = header.line;
  row.value = header.value;
  row.has_text_pair = header.has_pair != 0;
  row.text = take(header.text_bytes);
  row.text_pair = take(header.pair_bytes);
  row.entry = take(header.entry_bytes);
  row.image = take(header.image_bytes);
  position_ += bytes;
  return absl::OkStatus();
}

absl::Status SpillReader::Find(uint32_t number, SpilledRow& row) {
  do {
    ATTUNE_RETURN_IF_ERROR(Next(row));
  } while (row.row != number);
  return absl::OkStatus();
}

}  // namespace attune::datasets
