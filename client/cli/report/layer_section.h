// Layer groups by phase, and the phases themselves. Pure.
#pragma once

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

Html LayerSection(const ReportData& data);

}  // namespace attune::cli
