#include "server/datasets/formats/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kChunk = size_t{256} << 10;

}  // namespace

absl::Status InputBuffer::Start(std::string_view filename) {
  ATTUNE_RETURN_IF_ERROR(More().status());
  const std::string_view start = window();
  if (start.starts_with("\xef\xbb\xbf")) {
    Consume(3);
  } else if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff") ||
             start.starts_with(std::string_view("\0\0\xfe\xff", 4))) {
    return absl::InvalidArgumentError(
        StrCat("file ", Quoted(filename, 200),
               " is in UTF-16 or UTF-32: save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8"));
  }
  return absl::OkStatus();
}

void InputBuffer::MakeRoom(size_t bytes) {
  if (capacity_ - end_ >= bytes) return;
  const size_t held = end_ - begin_;
  if (capacity_ >= held + bytes) {
    std::memmove(data_.get(), data_.get() + begin_, held);
  } else {
    const size_t capacity = std::max(held + bytes, kChunk + kChunk / 2);
    std::unique_ptr<char[]> data(new char[capacity]);  // not make_unique: that would clear it
    if (held > 0) std::memcpy(data.get(), data_.get() + begin_, held);
    data_ = std::move(data);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
}

absl::StatusOr<bool> InputBuffer::More() {
  if (at_end_) return false;
  const size_t wanted = std::max(kChunk, end_ - begin_);
  MakeRoom(wanted);
  const size_t goal = end_ + wanted;
  const size_t before = end_;
  while (end_ < goal) {
    ATTUNE_ASSIGN_OR_RETURN(const size_t n, source_->Read(data_.get() + end_, goal - end_));
    if (n == 0) {
      at_end_ = true;
      break;
    }
    end_ += n;
  }
  return end_ > before;
}

absl::Status InputBuffer::SkipLine() {
  while (true) {
    const std::string_view held = window();
    const size_t line_end = held.find('\n');
    if (line_end != std::string_view::npos) {
      Consume(line_end + 1);
      return absl::OkStatus();
    }
    Consume(held.size());
    ATTUNE_ASSIGN_OR_RETURN(const bool more, More());
    if (!more) return absl::OkStatus();
  }
}

}  // namespace attune::datasets
