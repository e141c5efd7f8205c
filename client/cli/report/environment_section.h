// What is needed to do it again, and what the log warned of. Pure.
#pragma once

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

// Server, device, digests of model and dataset, seed, attempts, checkpoints.
Html EnvironmentSection(const ReportData& data);

// Warnings and errors among the events, log lines that say "warning", and why a failed job failed.
Html WarningSection(const ReportData& data);

}  // namespace attune::cli
