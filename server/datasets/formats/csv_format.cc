// CSV: comma separated, RFC 4180 quoting, header line.
#include "server/datasets/formats/delimited_reader.h"
#include "server/datasets/formats/format.h"

namespace attune::datasets {
namespace {

const FormatRegistration kCsv({v1::FILE_FORMAT_CSV, "CSV", {".csv"}, [](const ReaderOptions& options) {
                                 return OpenDelimited(options, ',');
                               }});

}  // namespace
}  // namespace attune::datasets
