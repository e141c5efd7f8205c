// What a job would take, for people. Pure.
#pragma once

#include <string>

#include "attune/v1/fine_tuning_job.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

// The summary, memory and what it is made of, time of each phase, disk.
std::string PlanText(const v1::PlanFineTuningJobResponse& plan, const Style& style);

}  // namespace attune::cli
