// The head of a report: what the job was, and its result in one sentence. Pure.
#pragma once

#include <string>

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

// "accuracy 0.846 on 372 test images; best at step 120", or how far a job is, or why it failed.
std::string ResultSentence(const ReportData& data);

// The page's title as text.
std::string ReportTitle(const ReportData& data);

Html Summary(const ReportData& data);

}  // namespace attune::cli
