// Gives images their labels and splits: by the rows of manifests when there are any, otherwise by their folders
// (folder_layout.h). Not thread-safe.
//
// A split is that of the uploaded file; else the manifest's column says it; else the folder; else it stays open, to be
// drawn. Images without a label, and manifest rows without an image, are faults in `table.issues`.
#pragma once

#include <deque>

#include "absl/status/status.h"
#include "server/datasets/importing/found_images.h"
#include "server/datasets/importing/import_plan.h"
#include "server/datasets/importing/read_rows.h"

namespace attune::datasets {

// Fills in what is to be settled of the images in `found`, the label table and table.kind. INVALID_ARGUMENT for a
// manifest that cannot be read, and for labels that cannot be classes.
absl::Status LabelImages(const ImportPlan& plan, std::deque<FoundFile>& found, RowTable& table);

}  // namespace attune::datasets
