// Rows that deserve a look: what the model is most sure about and wrong, and training rows whose labels look wrong.
// Images as thumbnails, texts as excerpts. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

// Rows of each kind that the page shows, in order: those that pictures are wanted for.
std::vector<int64_t> MistakeRows(const v1::CheckpointEvaluation& evaluation);
std::vector<int64_t> SuspectRows(const v1::CheckpointEvaluation& evaluation);

// Both kinds. Pictures beyond what keeps the page small are left out, which it then says. Empty without an evaluation.
Html ExampleSection(const ReportData& data);

}  // namespace attune::cli
