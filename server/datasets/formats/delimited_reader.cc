#include "server/datasets/formats/delimited_reader.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"
#include "server/datasets/formats/delimited_record.h"
#include "server/datasets/formats/input_buffer.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kMaxColumns = 10000;
constexpr int8_t kNotWanted = -1;

class DelimitedReader final : public RowReader {
 public:
  DelimitedReader(std::unique_ptr<ByteSource> source, const ReaderOptions& options, char delimiter)
      : buffer_(std::move(source)),
        filename_(options.file.filename),
        max_row_bytes_(options.max_row_bytes),
        delimiter_(delimiter),
        wanted_(WantedColumns(options.columns)) {}

  absl::Status ReadHeader();
  absl::StatusOr<bool> Next(Row& row) override;
  int64_t file_bytes() const override { return buffer_.file_bytes(); }

 private:
  // Scans the record at the window's start, reading more as needed. Without a complete record, because it is malformed
  // or too long, consumes nothing.
  template <typename OnField>
  absl::StatusOr<DelimitedRecord> Scan(OnField&& on_field);
  absl::Status CheckHeader(const std::vector<std::string>& names);
  RowFault Malformed(RecordEnd end) const;
  RowFault Ragged(size_t fields) const;
  void FillCells(Row& row);

  InputBuffer buffer_;
  const std::string filename_;
  const size_t max_row_bytes_;
  const char delimiter_;
  const std::array<WantedColumn, kWantedColumns> wanted_;
  std::vector<int8_t> slots_;  // for each column of the file: its position in wanted_, or kNotWanted
  int64_t line_ = 1;
  std::array<DelimitedField, kWantedColumns> fields_;
  std::array<std::string, kWantedColumns> scratch_;
};

template <typename OnField>
absl::StatusOr<DelimitedRecord> DelimitedReader::Scan(OnField&& on_field) {
  while (true) {
    DelimitedRecord record = ScanRecord(buffer_.window(), delimiter_, buffer_.at_end(), on_field);
    if (record.end != RecordEnd::kNeedMore) return record;
    if (buffer_.window().size() > max_row_bytes_) return record;
    ATTUNE_RETURN_IF_ERROR(buffer_.More().status());
  }
}

absl::Status DelimitedReader::ReadHeader() {
  ATTUNE_RETURN_IF_ERROR(buffer_.Start(filename_));
  std::vector<std::string> names;
  while (true) {
    if (buffer_.window().empty() && !buffer_.at_end()) ATTUNE_RETURN_IF_ERROR(buffer_.More().status());
    if (buffer_.window().empty()) {
      return absl::InvalidArgumentError(
          StrCat("file ", Quoted(filename_, 200), " is empty: it needs a header line and rows"));
    }
    ATTUNE_ASSIGN_OR_RETURN(const DelimitedRecord record, Scan([&](size_t index, const DelimitedField& field) {
                              // The scan may start over with more input.
                              if (index == 0) names.clear();
                              std::string scratch;
                              if (index <= kMaxColumns) names.emplace_back(TrimAscii(field.Value(scratch)));
                            }));
    if (record.end != RecordEnd::kComplete || record.bytes > max_row_bytes_) {
      return absl::InvalidArgumentError(StrCat(
          "file ", Quoted(filename_, 200), " has no readable header: the first line must hold the column names, and ",
          record.end == RecordEnd::kNeedMore ? "it is too long" : "its double quotes do not match"));
    }
    line_ +=
        std::count(buffer_.window().begin(), buffer_.window().begin() + static_cast<ptrdiff_t>(record.bytes), '\n');
    buffer_.Consume(record.bytes);
    if (names.size() > 1 || !names[0].empty()) break;  // blank lines before the header
  }
  return CheckHeader(names);
}

absl::Status DelimitedReader::CheckHeader(const std::vector<std::string>& names) {
  if (names.size() > kMaxColumns) {
    return absl::InvalidArgumentError(StrCat("file ", Quoted(filename_, 200), " has more than ", kMaxColumns,
                                             " columns: keep those that are needed"));
  }
  slots_.assign(names.size(), kNotWanted);
  for (size_t slot = 0; slot < wanted_.size(); ++slot) {
    const WantedColumn& wanted = wanted_[slot];
    if (wanted.name.empty()) continue;
    const auto found = std::find(names.begin(), names.end(), wanted.name);
    if (found == names.end()) {
      if (!wanted.required) continue;
      if (std::any_of(names.begin(), names.end(),
                      [](const std::string& name) { return name.find('\r') != std::string::npos; })) {
        return absl::InvalidArgumentError(
            StrCat("file ", Quoted(filename_, 200),
                   " ends its lines with CR alone: convert the line ends to LF, for example with tr '\\r' '\\n'"));
      }
      return MissingColumn(filename_, wanted, names);
    }
    if (std::find(found + 1, names.end(), wanted.name) != names.end()) {
      return absl::InvalidArgumentError(StrCat("file ", Quoted(filename_, 200), " has more than one column ",
                                               Quoted(wanted.name), ": rename all but one"));
    }
    slots_[static_cast<size_t>(found - names.begin())] = static_cast<int8_t>(slot);
  }
  return absl::OkStatus();
}

RowFault DelimitedReader::Malformed(RecordEnd end) const {
  return {v1::RowIssue::KIND_RAGGED_ROW, "",
          StrCat(end == RecordEnd::kOpenQuote ? "a double quote opens a column and is never closed"
                                              : "something follows the closing double quote of a column",
                 ": put the text in double quotes, and write those inside it twice (\"\")")};
}

RowFault DelimitedReader::Ragged(size_t fields) const {
  const char* separator = delimiter_ == '\t' ? "a tab" : "a comma";
  std::string message =
      StrCat("the row has ", fields, fields == 1 ? " column" : " columns", ", the header has ", slots_.size(), ": ");
  if (fields > slots_.size()) {
    StrAppend(&message, "put texts that hold ", separator, " in double quotes");
  } else {
    StrAppend(&message, "add the columns that are missing, or put texts that hold a line break in double quotes");
  }
  return {v1::RowIssue::KIND_RAGGED_ROW, "", std::move(message)};
}

void DelimitedReader::FillCells(Row& row) {
  for (const int8_t slot : slots_) {
    if (slot == kNotWanted) continue;
    const auto index = static_cast<size_t>(slot);
    Cell& cell = row.*wanted_[index].cell;
    cell.type = Cell::Type::kPlain;
    cell.text = fields_[index].Value(scratch_[index]);
    if (row.fault) continue;
    if (const auto invalid = FirstInvalidUtf8(cell.text)) row.fault = NotUtf8(wanted_[index].name, cell.text, *invalid);
  }
}

absl::StatusOr<bool> DelimitedReader::Next(Row& row) {
  while (true) {
    if (buffer_.window().empty()) {
      ATTUNE_ASSIGN_OR_RETURN(const bool more, buffer_.More());
      if (!more) return false;
    }
    bool blank = true;
    ATTUNE_ASSIGN_OR_RETURN(const DelimitedRecord record, Scan([&](size_t index, const DelimitedField& field) {
                              blank = index == 0 && !field.quoted && field.raw.empty();
                              if (index < slots_.size() && slots_[index] != kNotWanted)
                                fields_[static_cast<size_t>(slots_[index])] = field;
                            }));
    row.line = line_;
    row.fault.reset();
    if (record.end != RecordEnd::kComplete) {
      row.fault =
          record.end == RecordEnd::kNeedMore ? RowTooLong(max_row_bytes_, record.quoted) : Malformed(record.end);
      ATTUNE_RETURN_IF_ERROR(buffer_.SkipLine());
      ++line_;
      return true;
    }
    const std::string_view bytes = buffer_.window().substr(0, record.bytes);
    line_ += record.quoted ? std::count(bytes.begin(), bytes.end(), '\n') : 1;
    buffer_.Consume(record.bytes);  // the bytes stay where they are until the next read
    if (blank) continue;
    if (record.bytes > max_row_bytes_) {
      row.fault = RowTooLong(max_row_bytes_);
    } else if (record.fields != slots_.size()) {
      row.fault = Ragged(record.fields);
    } else {
      FillCells(row);
    }
    return true;
  }
}

}  // namespace

std::string_view DelimitedField::Value(std::string& scratch) const {
  if (!doubled) return raw;
  scratch.clear();
  for (size_t i = 0; i < raw.size(); ++i) {
    scratch += raw[i];
    if (raw[i] == '"') ++i;
  }
  return scratch;
}

absl::StatusOr<std::unique_ptr<RowReader>> OpenDelimited(const ReaderOptions& options, char delimiter) {
  ATTUNE_ASSIGN_OR_RETURN(auto source, OpenInput(options.file));
  auto reader = std::make_unique<DelimitedReader>(std::move(source), options, delimiter);
  ATTUNE_RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

}  // namespace attune::datasets
