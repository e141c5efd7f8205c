// JSONL, plain or packed: what DatasetService imports.
#include "tests/fuzz/driver/fuzz.h"
#include "tests/fuzz/driver/rows.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ReadAllRows(attune::v1::FILE_FORMAT_JSONL, attune::fuzz::Input(data, size));
  return 0;
}
