// InputBuffer: a window on a ByteSource that grows only as far as its reader asks, for readers that need a whole row in
// one piece. Not thread-safe. Errors are the source's, and INVALID_ARGUMENT from Start for UTF-16 and UTF-32.
//
//   ATTUNE_RETURN_IF_ERROR(buffer.Start(filename));      // a UTF-8 byte order mark is skipped
//   while (no whole row in buffer.window()) { ATTUNE_ASSIGN_OR_RETURN(bool more, buffer.More()); if (!more) break; }
//   buffer.Consume(row_bytes);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/datasets/formats/byte_source.h"

namespace attune::datasets {

class InputBuffer {
 public:
  explicit InputBuffer(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  absl::Status Start(std::string_view filename);
  // Bytes read and not yet consumed; valid until More or SkipLine.
  std::string_view window() const { return {data_.get() + begin_, end_ - begin_}; }
  // Adds to the window, at least as much as it holds, so that scanning it again each time stays linear. False at the
  // end of the input.
  absl::StatusOr<bool> More();
  void Consume(size_t bytes) { begin_ += bytes; }
  // Consumes up to and including the next line feed, however far that is, in constant memory.
  absl::Status SkipLine();
  bool at_end() const { return at_end_; }
  int64_t file_bytes() const { return source_->file_bytes(); }

 private:
  void MakeRoom(size_t bytes);

  const std::unique_ptr<ByteSource> source_;
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool at_end_ = false;
};

}  // namespace attune::datasets
