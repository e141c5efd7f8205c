#include "tests/fuzz/driver/rows.h"

#include "server/base/utf8.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/importing/row_check.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

using datasets::RowChecker;

// Small, so that inputs get there.
constexpr size_t kMaxRowBytes = 1024;
constexpr int64_t kMaxUnpackedBytes = int64_t{1} << 20;

datasets::ColumnNames Columns(bool images) {
  datasets::ColumnNames names;
  names.split = "split";
  names.split_required = false;
  names.images = images;
  return names;
}

void RequireFault(const datasets::RowFault& fault) {
  Require(fault.kind != v1::RowIssue::KIND_UNSPECIFIED, "a fault says of which kind it is");
  Require(!fault.message.empty() && !FirstInvalidUtf8(fault.message) && !FirstInvalidUtf8(fault.column),
          "faults are for people, in UTF-8");
}

}  // namespace

void ReadAllRows(v1::FileFormat format, std::string_view content) {
  static MemoryFile file;
  const auto found = datasets::FindFormat(format, "");
  datasets::ReaderOptions options;
  options.file = {.path = file.Put(content), .filename = "rows", .max_unpacked_bytes = kMaxUnpackedBytes};
  options.columns = Columns(/*images=*/false);
  options.columns.text_pair_required = false;
  options.max_row_bytes = kMaxRowBytes;
  auto reader = (*found)->open(options);
  if (!reader.ok()) return RequireRefusal(reader.status());

  RowChecker checkers[] = {RowChecker(options.columns, std::nullopt),
                           RowChecker(options.columns, examples::LabelKind::kMultiLabel),
                           RowChecker(options.columns, examples::LabelKind::kRegression),
                           RowChecker(Columns(/*images=*/true), examples::LabelKind::kSingleLabel)};
  datasets::Row row;
  int64_t last_line = 0;
  while (true) {
    const auto got = (*reader)->Next(row);
    if (!got.ok()) return RequireRefusal(got.status());
    if (!*got) return;
    Require(row.line > last_line, "each row begins on a line of its own");
    last_line = row.line;
    if (row.fault) {
      RequireFault(*row.fault);
      continue;
    }
    for (RowChecker& checker : checkers) {
      datasets::CheckedRow checked;
      if (const auto fault = checker.Check(row, std::nullopt, checked)) {
        RequireFault(*fault);
        continue;
      }
      Require(!checked.text.empty() && !FirstInvalidUtf8(checked.text) && !FirstInvalidUtf8(checked.text_pair),
              "texts are there, in UTF-8");
      for (const std::string_view label : checked.labels)
        Require(!label.empty() && !FirstInvalidUtf8(label), "labels are there, in UTF-8");
    }
  }
}

}  // namespace attune::fuzz
