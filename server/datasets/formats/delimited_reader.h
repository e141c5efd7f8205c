// DelimitedReader: rows of CSV and TSV files with a header line (RFC 4180, see delimited_record.h). Not thread-safe.
//
// A row that is malformed (a quote that never closes, text after a closing quote) or too long costs the line on which
// it starts and no more: reading goes on with the next line, so one stray quote does not swallow the rest of the file.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/datasets/formats/format.h"

namespace attune::datasets {

absl::StatusOr<std::unique_ptr<RowReader>> OpenDelimited(const ReaderOptions& options, char delimiter);

}  // namespace attune::datasets
