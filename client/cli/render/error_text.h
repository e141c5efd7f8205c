// Failures in three lines: what did not work, why, and what to do. Pure.
//
//   error: cannot create the job
//     why: 1 field is not valid (INVALID_ARGUMENT)
//            spec.hyperparameters.n_epochs: must be 1 to 1000, got 0
//     fix: correct it; `attune jobs create --help` lists the flags
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/cli/render/style.h"

namespace attune::cli {

struct Failure {
  std::string what;  // "cannot create the job"
  absl::Status why;
  std::string fix;  // empty: by the status code, see DefaultFix
};

// What to do about a code when nothing more is known.
std::string DefaultFix(absl::StatusCode code);

// Lines with line ends.
std::string FailureText(const Failure& failure, const Style& style);

}  // namespace attune::cli
