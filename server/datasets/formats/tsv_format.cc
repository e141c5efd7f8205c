// TSV: tab separated, RFC 4180 quoting, header line.
#include "server/datasets/formats/delimited_reader.h"
#include "server/datasets/formats/format.h"

namespace attune::datasets {
namespace {

const FormatRegistration kTsv({v1::FILE_FORMAT_TSV, "TSV", {".tsv"}, [](const ReaderOptions& options) {
                                 return OpenDelimited(options, '\t');
                               }});

}  // namespace
}  // namespace attune::datasets
