// JSONL: one JSON object a line, blank lines left aside.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/formats/input_buffer.h"
#include "server/datasets/formats/jsonl_row.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

// There is no header: a column is missing when none of the first objects has it. Its absence from single rows is those
// rows' fault.
constexpr int64_t kObjectsToFindColumns = 1000;

class JsonlReader final : public RowReader {
 public:
  JsonlReader(std::unique_ptr<ByteSource> source, const ReaderOptions& options)
      : buffer_(std::move(source)),
        filename_(options.file.filename),
        max_row_bytes_(options.max_row_bytes),
        wanted_(WantedColumns(options.columns)),
        parser_(options.columns) {}

  absl::Status Start() { return buffer_.Start(filename_); }
  absl::StatusOr<bool> Next(Row& row) override;
  int64_t file_bytes() const override { return buffer_.file_bytes(); }

 private:
  // Length of the line that starts the window, its end not counted; npos when it is longer than a row may be.
  absl::StatusOr<size_t> FindLine();
  absl::Status CheckColumns() const;

  InputBuffer buffer_;
  const std::string filename_;
  const size_t max_row_bytes_;
  const std::array<WantedColumn, kWantedColumns> wanted_;
  JsonlRow parser_;
  int64_t line_ = 0;
  int64_t objects_ = 0;
};

absl::StatusOr<size_t> JsonlReader::FindLine() {
  size_t scanned = 0;
  while (true) {
    const std::string_view window = buffer_.window();
    const size_t end = window.find('\n', scanned);
    if (end != std::string_view::npos) return end > max_row_bytes_ ? std::string_view::npos : end;
    if (window.size() > max_row_bytes_) return std::string_view::npos;
    scanned = window.size();
    ATTUNE_ASSIGN_OR_RETURN(const bool more, buffer_.More());
    if (!more) return scanned;
  }
}

absl::Status JsonlReader::CheckColumns() const {
  for (size_t slot = 0; slot < wanted_.size(); ++slot) {
    if (wanted_[slot].required && !wanted_[slot].name.empty() && !parser_.seen(slot)) {
      return MissingColumn(filename_, wanted_[slot], parser_.names());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> JsonlReader::Next(Row& row) {
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const size_t length, FindLine());
    row.fault.reset();
    row.line = ++line_;
    if (length == std::string_view::npos) {
      ATTUNE_RETURN_IF_ERROR(buffer_.SkipLine());
      row.fault = RowTooLong(max_row_bytes_);
      return true;
    }
    const std::string_view line = buffer_.window().substr(0, length);
    if (buffer_.window().empty()) {
      if (objects_ > 0 && objects_ < kObjectsToFindColumns) ATTUNE_RETURN_IF_ERROR(CheckColumns());
      return false;
    }
    buffer_.Consume(
        std::min(length + 1, buffer_.window().size()));  // the bytes stay where they are until the next read
    if (TrimAscii(line).empty()) continue;
    if (const auto invalid = FirstInvalidUtf8(line)) {
      row.fault = NotUtf8("", line, *invalid);
      return true;
    }
    parser_.Parse(line, row);
    if (!row.fault && ++objects_ == kObjectsToFindColumns) ATTUNE_RETURN_IF_ERROR(CheckColumns());
    return true;
  }
}

absl::StatusOr<std::unique_ptr<RowReader>> OpenJsonl(const ReaderOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(auto source, OpenInput(options.file));
  auto reader = std::make_unique<JsonlReader>(std::move(source), options);
  ATTUNE_RETURN_IF_ERROR(reader->Start());
  return reader;
}

const FormatRegistration kJsonl({v1::FILE_FORMAT_JSONL, "JSONL", {".jsonl", ".ndjson"}, &OpenJsonl});

}  // namespace
}  // namespace attune::datasets
