// The configuration file: YAML, a flat map whose keys are those of option_keys.h. Pure but for ReadConfigFile.
// Errors: INVALID_ARGUMENT with one line for each fault: "FILE:LINE: what is wrong".
//
//   # attune.yaml
//   listen: 127.0.0.1:50051
//   data_dir: /var/lib/attune
//   job_slots: 2
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/main/options.h"

namespace attune {

// Puts what `yaml` says over what `options` holds. `shown_path` stands for the file in messages.
absl::Status ApplyConfig(const std::string& yaml, std::string_view shown_path, ServerOptions& options);

// The same from a file.
absl::Status ApplyConfigFile(const std::string& path, ServerOptions& options);

}  // namespace attune
