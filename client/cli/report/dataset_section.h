// The dataset: its splits, the classes' counts, how long texts or how large images are, and what its import found.
// Pure.
#pragma once

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

Html DatasetSection(const ReportData& data);

}  // namespace attune::cli
