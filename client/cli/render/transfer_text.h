// The line that shows how far a transfer is. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "client/cli/render/style.h"

namespace attune::cli {

struct TransferState {
  std::string verb;  // "uploading"
  std::string name;
  int64_t done = 0;
  int64_t total = 0;
  double seconds = 0;   // since it began
  bool bytes = true;    // else a number of rows; total 0: unknown
  double fraction = 0;  // used when total is 0
};

// "uploading reviews.csv  ███░░░  42 %  2.1 MB of 5.0 MB  12.3 MB/s  0:02 to go", cut to the width.
std::string TransferBar(const TransferState& state, const Style& style);
// The same as a line of a log: "uploading reviews.csv: 40 % (2.0 MB of 5.0 MB)".
std::string TransferLine(const TransferState& state);

double TransferFraction(const TransferState& state);

}  // namespace attune::cli
