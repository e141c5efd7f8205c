// A spec as YAML, for people to read, keep and send again: ParseJobFile (job_file.h) reads the same spec from it, whatever texts it holds. Pure.
#pragma once

#include <string>

#include "attune/v1/training_spec.pb.h"

namespace attune::cli {

// Fields in the order of their numbers, entries of maps in that of their keys; what is not set is left out. Ends with a line's end.
std::string SpecYaml(const v1::FineTuningSpec& spec);

}  // namespace attune::cli
