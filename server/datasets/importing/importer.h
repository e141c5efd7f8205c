// RunImport: makes a dataset directory of planned files. Two passes: rows are read, judged and spilled (read_rows.h);
// then, when splits and classes are settled (resolve_rows.h), they are written in the canonical form of
// server/examples. Memory: about 80 bytes a row and one row's text, whatever the texts are.
//
//   v1::Dataset dataset;
//   absl::Status status = RunImport(plan, files, scratch, directory, progress, dataset);
#pragma once

#include <string>

#include "absl/status/status.h"
#include "attune/v1/dataset.pb.h"
#include "server/base/files.h"
#include "server/datasets/importing/import_plan.h"
#include "server/datasets/importing/read_rows.h"

namespace attune::datasets {

// Writes the dataset to `directory`, which must not exist, using the existing directory `scratch` for temporary files;
// what is left of either after an error is the caller's to remove. Fills in what was found in `dataset` (report,
// label_kind, labels, has_text_pair, digest) also when it fails, as far as it got. INVALID_ARGUMENT: the data cannot be
// used, and the message says what to do. Anything else (RESOURCE_EXHAUSTED: disk full) is not the data's fault.
absl::Status RunImport(const ImportPlan& plan, Files& files, const std::string& scratch, const std::string& directory,
                       const ReadProgress& progress, v1::Dataset& dataset);

}  // namespace attune::datasets
