// CSV and TSV, plain or packed: what DatasetService imports.
#include "tests/fuzz/driver/fuzz.h"
#include "tests/fuzz/driver/rows.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view content = attune::fuzz::Input(data, size);
  const bool tabs = content.substr(0, content.find('\n')).find('\t') != std::string_view::npos;
  attune::fuzz::ReadAllRows(tabs ? attune::v1::FILE_FORMAT_TSV : attune::v1::FILE_FORMAT_CSV, content);
  return 0;
}
