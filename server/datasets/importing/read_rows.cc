#include "server/datasets/importing/read_rows.h"

#include <algorithm>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/importing/row_check.h"

namespace attune::datasets {
namespace {

constexpr int64_t kRowsBetweenProgress = 4096;

class RowsOfFiles {
 public:
  RowsOfFiles(const ImportPlan& plan, SpillWriter& spill, const ReadProgress& progress, RowTable& table)
      : plan_(plan), spill_(spill), progress_(progress), table_(table), checker_(plan.columns, plan.label_kind) {
    for (const PlannedFile& file : plan.files) total_bytes_ += file.size_bytes;
  }

  absl::Status ReadFile(uint32_t index);
  std::optional<examples::LabelKind> kind() const { return checker_.kind(); }

 private:
  absl::Status Keep(uint32_t file, int64_t line, const CheckedRow& checked);
  absl::StatusOr<int32_t> Length(const CheckedRow& checked) const;
  void Report(int64_t file_bytes) const {
    if (progress_)
      progress_(table_.rows_read, std::min(1.0, static_cast<double>(bytes_before_ + file_bytes) /
                                                    static_cast<double>(std::max<int64_t>(1, total_bytes_))));
  }
  // More rows are bad than may be: the report goes on, the data does not.
  bool failed() const { return plan_.max_bad_rows >= 0 && table_.issues.bad_rows() > plan_.max_bad_rows; }

  const ImportPlan& plan_;
  SpillWriter& spill_;
  const ReadProgress& progress_;
  RowTable& table_;
  RowChecker checker_;
  int64_t total_bytes_ = 0;
  int64_t bytes_before_ = 0;
};

absl::StatusOr<int32_t> RowsOfFiles::Length(const CheckedRow& checked) const {
  if (plan_.tokenizer == nullptr) return CountWords(checked.text) + CountWords(checked.text_pair);
  ATTUNE_ASSIGN_OR_RETURN(
      const tokenizers::Encoding encoding,
      plan_.tokenizer->Encode(checked.text, checked.has_text_pair ? &checked.text_pair : nullptr, 0));
  return static_cast<int32_t>(encoding.ids.size());
}

absl::Status RowsOfFiles::Keep(uint32_t file, int64_t line, const CheckedRow& checked) {
  RowEntry entry;
  entry.digest = DigestText(checked.text, checked.has_text_pair, checked.text_pair);
  entry.row = static_cast<uint32_t>(table_.rows_read - 1);
  entry.split = checked.split;
  const auto place = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        StrCat(plan_.files[file].filename, " line ", line, ": ", std::string(status.message())));
  };
  if (checker_.kind() != examples::LabelKind::kRegression) {
    absl::StatusOr<uint32_t> labels = table_.labels.Add(checked.labels);
    if (!labels.ok()) return FieldError("label_column", std::string(place(labels.status()).message()));
    entry.labels = *labels;
  }
  if (!failed()) {
    absl::StatusOr<int32_t> length = Length(checked);
    if (!length.ok()) return place(length.status());
    entry.length = *length;
  }
  table_.has_text_pair |= checked.has_text_pair;
  table_.rows.push_back(entry);
  return spill_.Add({.row = entry.row,
                     .file = file,
                     .line = line,
                     .value = checked.value,
                     .has_text_pair = checked.has_text_pair,
                     .text = checked.text,
                     .text_pair = checked.text_pair});
}

absl::Status RowsOfFiles::ReadFile(uint32_t index) {
  const PlannedFile& file = plan_.files[index];
  ATTUNE_ASSIGN_OR_RETURN(
      auto reader,
      file.format->open(
          {.file = {.path = file.path, .filename = file.filename, .max_unpacked_bytes = plan_.max_unpacked_bytes},
           .columns = plan_.columns,
           .max_row_bytes = plan_.max_row_bytes}));
  const int64_t rows_before = table_.rows_read;
  Row row;
  CheckedRow checked;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(row));
    if (!got) break;
    if (++table_.rows_read > plan_.max_rows) {
      return absl::InvalidArgumentError(
          StrCat("the files have more than ", plan_.max_rows, " rows: import them as several datasets"));
    }
    if (const auto fault = checker_.Check(row, file.split, checked)) {
      table_.issues.Add(*fault, {.filename = file.filename, .line = row.line});
    } else {
      ATTUNE_RETURN_IF_ERROR(Keep(index, row.line, checked));
    }
    if (table_.rows_read % kRowsBetweenProgress == 0) Report(reader->file_bytes());
  }
  if (table_.rows_read == rows_before) {
    return absl::InvalidArgumentError(
        StrCat("file ", Quoted(file.filename, 200), " has no rows: upload a file with at least one, or leave it out"));
  }
  bytes_before_ += file.size_bytes;
  Report(0);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadRows(const ImportPlan& plan, SpillWriter& spill, const ReadProgress& progress, RowTable& table) {
  RowsOfFiles rows(plan, spill, progress, table);
  for (size_t i = 0; i < plan.files.size(); ++i) {
    const absl::Status status = rows.ReadFile(static_cast<uint32_t>(i));
    table.kind = rows.kind().value_or(examples::LabelKind::kSingleLabel);
    ATTUNE_RETURN_IF_ERROR(status);
  }
  return spill.Finish();
}

}  // namespace attune::datasets
