// A job as a YAML file, with the field names of FineTuningSpec (display_name and labels too). Pure.
//
//   base_model: minilm
//   dataset: reviews
//   hyperparameters:
//     n_epochs: 3
//   phases:
//     - name: head
//       n_epochs: 1
//       trainable: {head_only: true}
//
// Names of models and datasets may go without "models/" and "datasets/"; enum values are short ("bf16"); camelCase
// names, as in JSON output, are understood. Errors: INVALID_ARGUMENT with all faults, each on a line with FILE:LINE and
// the nearest valid name.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "attune/v1/fine_tuning_job.pb.h"

namespace attune::cli {

// `filename` is only for messages.
absl::StatusOr<v1::CreateFineTuningJobRequest> ParseJobFile(const std::string& text, const std::string& filename);

}  // namespace attune::cli
