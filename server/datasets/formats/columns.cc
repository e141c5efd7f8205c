#include "server/datasets/formats/columns.h"

#include <algorithm>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "google/rpc/error_details.pb.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kColumnsListed = 30;

std::string ListColumns(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kColumnsListed); ++i)
    StrAppend(&out, i == 0 ? "" : ", ", Quoted(names[i]));
  if (names.size() > kColumnsListed) StrAppend(&out, " and ", names.size() - kColumnsListed, " more");
  return out;
}

// One column whose name holds another separator: most likely the separator is not the one that the format means.
std::string SeparatorHint(const std::vector<std::string>& existing) {
  if (existing.size() != 1) return "";
  for (const auto& [separator, name] :
       {std::pair{';', "semicolons"}, std::pair{'\t', "tabs"}, std::pair{'|', "bars"}, std::pair{',', "commas"}}) {
    if (existing[0].find(separator) == std::string::npos) continue;
    return StrCat(" The header looks separated by ", name,
                  ": CSV is read with commas and TSV with tabs, so convert the file or set format.");
  }
  return "";
}

}  // namespace

const char* TypeName(Cell::Type type) {
  switch (type) {
    case Cell::Type::kAbsent:
      return "absent";
    case Cell::Type::kPlain:
    case Cell::Type::kString:
      return "a string";
    case Cell::Type::kInteger:
      return "an integer";
    case Cell::Type::kFraction:
      return "a number";
    case Cell::Type::kBool:
      return "true or false";
    case Cell::Type::kNull:
      return "null";
    case Cell::Type::kList:
      return "a list";
    case Cell::Type::kObject:
      return "an object";
  }
  return "unknown";
}

std::array<WantedColumn, kWantedColumns> WantedColumns(const ColumnNames& names) {
  return {{{names.text, true, names.images ? "image_column" : "text_column", &Row::text},
           {names.text_pair, names.text_pair_required, "text_pair_column", &Row::text_pair},
           {names.label, true, "label_column", &Row::label},
           {names.split, names.split_required && !names.split.empty(), "split_column", &Row::split}}};
}

absl::Status MissingColumn(std::string_view filename, const WantedColumn& wanted,
                           const std::vector<std::string>& existing) {
  std::string message = StrCat("file ", Quoted(filename, 200), " has no column ", Quoted(wanted.name),
                               "; its columns are ", ListColumns(existing), ". ");
  const std::string nearest = Nearest(wanted.name, existing);
  if (!nearest.empty()) StrAppend(&message, "Did you mean ", Quoted(nearest), "? ");
  StrAppend(&message, "Set ", wanted.request_field, " to the column to read.", SeparatorHint(existing));
  return FieldError(wanted.request_field, message);
}

absl::Status FieldError(std::string_view field, std::string_view message) {
  google::rpc::BadRequest details;
  auto* violation = details.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(message));
  absl::Status status = absl::InvalidArgumentError(AbslView(message));
  status.SetPayload("google.rpc.BadRequest", absl::Cord(details.SerializeAsString()));
  return status;
}

RowFault NotUtf8(std::string_view column, std::string_view bytes, size_t offset) {
  return {
      v1::RowIssue::KIND_NOT_UTF8, std::string(column),
      absl::StrFormat(
          "byte 0x%02x at position %d is not UTF-8: convert the file, for example with iconv -f WINDOWS-1252 -t UTF-8",
          static_cast<unsigned char>(bytes[offset]), offset + 1)};
}

RowFault RowTooLong(size_t max_row_bytes, bool in_quotes) {
  return {v1::RowIssue::KIND_ROW_TOO_LONG, "",
          StrCat("the row is longer than ", max_row_bytes,
                 " bytes, the most that this server accepts: shorten or split its text",
                 in_quotes ? ", or close the double quote that opens in it" : "")};
}

}  // namespace attune::datasets
