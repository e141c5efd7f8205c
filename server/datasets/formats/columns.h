// Which columns of a file an import reads, and the faults that readers share. Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/datasets/formats/row.h"

namespace attune::datasets {

struct ColumnNames {
  std::string text = "text";  // of a manifest of images: the column with their paths
  std::string text_pair = "text_pair";
  bool text_pair_required = false;  // false: a file without that column has single texts
  std::string label = "label";
  std::string split;           // empty: there is none
  bool split_required = true;  // false: a file without that column leaves splits open
  bool images = false;         // the file is a manifest of images
};

// One column that is read: its name, whether it must be there, the request's field that names it, and where its cells
// go.
struct WantedColumn {
  std::string name;
  bool required = true;
  const char* request_field = "";
  Cell Row::* cell = nullptr;
};
inline constexpr size_t kWantedColumns = 4;
// text, text_pair, label, split; a column that is not wanted has an empty name.
std::array<WantedColumn, kWantedColumns> WantedColumns(const ColumnNames& names);

// INVALID_ARGUMENT: the file has no such column; lists those that exist, the nearest name, and the field to set.
absl::Status MissingColumn(std::string_view filename, const WantedColumn& wanted,
                           const std::vector<std::string>& existing);

// INVALID_ARGUMENT that names a field of the request, also in a payload that api/ turns into a google.rpc.BadRequest.
absl::Status FieldError(std::string_view field, std::string_view message);

RowFault NotUtf8(std::string_view column, std::string_view bytes, size_t offset);
// `in_quotes`: the row is that long because a double quote that opens in it does not close.
RowFault RowTooLong(size_t max_row_bytes, bool in_quotes = false);

}  // namespace attune::datasets
