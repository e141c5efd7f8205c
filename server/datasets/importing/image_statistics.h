// Sizes and formats of a dataset's images, for its report. Pure.
#pragma once

#include "attune/v1/dataset.pb.h"
#include "server/datasets/importing/read_rows.h"

namespace attune::datasets {

// Of the rows that are in the dataset, but for the counts of other files and of wrong extensions, which are of all that
// was read. A median is the smallest length that at least half of the images do not exceed. All 0 without images.
v1::ImageReport ReportImages(const RowTable& table);

}  // namespace attune::datasets
