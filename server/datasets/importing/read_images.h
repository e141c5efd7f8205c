// First pass of an import of images: reads archives and IDX files, checks every image, spills those that are good, and
// finds out their labels and splits (label_images.h). The counterpart of read_rows.h, with the same outcome: a RowTable
// and a spill file, in the order of the files. Images are checked on a few threads; memory is bounded but for the paths
// and about 300 bytes an image. Nothing of an archive is written to the disk under a name of its own.
//
//   RowTable table;
//   absl::Status status = ReadImages(plan, files, scratch, *spill, progress, table);
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/base/files.h"
#include "server/datasets/importing/import_plan.h"
#include "server/datasets/importing/read_rows.h"
#include "server/datasets/importing/spill_file.h"

namespace attune::datasets {

// INVALID_ARGUMENT for what is wrong with a file as a whole; `table` then has what was found so far. `scratch` is a
// directory for copies of manifests.
absl::Status ReadImages(const ImportPlan& plan, Files& files, const std::string& scratch, SpillWriter& spill,
                        const ReadProgress& progress, RowTable& table);

}  // namespace attune::datasets
