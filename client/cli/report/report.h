// A job's report as one web page that needs nothing but itself: no script, no font, style or picture from elsewhere.
// Light and dark by the reader's setting; prints. Pure.
//
//   ReportData data = ...;                  // what the server said
//   WriteFile("report.html", ReportPage(data));
//
// Every text from data is escaped (html.h), and a content security policy in the page forbids scripts and loading all
// the same.
#pragma once

#include <string>

#include "client/cli/report/report_data.h"

namespace attune::cli {

std::string ReportPage(const ReportData& data);

}  // namespace attune::cli
