// Datasets for people: lists, the import report with its counts, bars and bad rows, and previews. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/dataset.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

std::string DatasetTable(const std::vector<v1::Dataset>& datasets, absl::Time now, const Style& style);

// Name, splits with their label counts, lengths as a histogram or sizes of images, and what was found wrong.
std::string DatasetReport(const v1::Dataset& dataset, const Style& style);

// Bad rows, one a line: "FILE:LINE column COLUMN: message", or "FILE: ENTRY: message" of archives. At most `limit`,
// then how many more there are.
std::string IssueList(const v1::ImportReport& report, int limit, const Style& style);

// The rows as a web page of its own, images with their thumbnails.
std::string PreviewHtml(const v1::PreviewRowsResponse& preview, const std::string& title);

std::string PreviewTable(const v1::PreviewRowsResponse& preview, const Style& style);

// "train" for SPLIT_TRAIN, and so on.
std::string SplitName(v1::Split split);

}  // namespace attune::cli
