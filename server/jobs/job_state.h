// The life of a job as a pure state machine: exactly the table in proto/attune/v1/fine_tuning_job.proto. Pure.
//
//   ATTUNE_RETURN_IF_ERROR(CheckStateChange(job.state(), v1::FineTuningJob::STATE_CANCELLING));
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "attune/v1/fine_tuning_job.pb.h"

namespace attune::jobs {

using State = v1::FineTuningJob::State;

bool IsFinal(State state);    // SUCCEEDED, FAILED, CANCELLED
bool HoldsSlot(State state);  // PREPARING, RUNNING, PAUSING, CANCELLING: an attempt is on a worker

// Whether the table has the change. STATE_UNSPECIFIED -> QUEUED is creation.
bool CanChange(State from, State to);
// FAILED_PRECONDITION that says which state the job is in and where it can go from there.
absl::Status CheckStateChange(State from, State to);

std::string StateName(State state);  // "QUEUED"; "" for unspecified
std::optional<State> StateFromName(std::string_view name);  // exact, upper case
std::vector<std::string> StateNames();  // without unspecified, in order of life

}  // namespace attune::jobs
