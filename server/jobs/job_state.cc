#include "server/jobs/job_state.h"

#include <array>

#include "absl/strings/str_join.h"
#include "server/base/str_cat.h"

namespace attune::jobs {
namespace {

using Job = v1::FineTuningJob;

struct Change {
  State from;
  State to;
};

// The table of proto/attune/v1/fine_tuning_job.proto, line by line.
constexpr std::array<Change, 23> kChanges = {{
    {Job::STATE_UNSPECIFIED, Job::STATE_QUEUED},
    {Job::STATE_QUEUED, Job::STATE_PREPARING},
    {Job::STATE_QUEUED, Job::STATE_PAUSED},
    {Job::STATE_QUEUED, Job::STATE_CANCELLED},
    {Job::STATE_PREPARING, Job::STATE_RUNNING},
    {Job::STATE_PREPARING, Job::STATE_QUEUED},
    {Job::STATE_PREPARING, Job::STATE_PAUSING},
    {Job::STATE_PREPARING, Job::STATE_CANCELLING},
    {Job::STATE_PREPARING, Job::STATE_FAILED},
    {Job::STATE_RUNNING, Job::STATE_SUCCEEDED},
    {Job::STATE_RUNNING, Job::STATE_FAILED},
    {Job::STATE_RUNNING, Job::STATE_PAUSING},
    {Job::STATE_RUNNING, Job::STATE_CANCELLING},
    {Job::STATE_RUNNING, Job::STATE_QUEUED},
    {Job::STATE_PAUSING, Job::STATE_PAUSED},
    {Job::STATE_PAUSING, Job::STATE_SUCCEEDED},
    {Job::STATE_PAUSING, Job::STATE_FAILED},
    {Job::STATE_PAUSING, Job::STATE_CANCELLING},
    {Job::STATE_PAUSED, Job::STATE_QUEUED},
    {Job::STATE_PAUSED, Job::STATE_CANCELLED},
    {Job::STATE_CANCELLING, Job::STATE_CANCELLED},
    {Job::STATE_CANCELLING, Job::STATE_SUCCEEDED},
    {Job::STATE_CANCELLING, Job::STATE_FAILED},
}};

constexpr std::array<State, 9> kStates = {Job::STATE_QUEUED,     Job::STATE_PREPARING, Job::STATE_RUNNING,   Job::STATE_PAUSING, Job::STATE_PAUSED,
                                          Job::STATE_CANCELLING, Job::STATE_CANCELLED, Job::STATE_SUCCEEDED, Job::STATE_FAILED};

constexpr std::string_view kPrefix = "STATE_";

}  // namespace

bool IsFinal(State state) {
  return state == Job::STATE_SUCCEEDED || state == Job::STATE_FAILED || state == Job::STATE_CANCELLED;
}

bool HoldsSlot(State state) {
  return state == Job::STATE_PREPARING || state == Job::STATE_RUNNING || state == Job::STATE_PAUSING || state == Job::STATE_CANCELLING;
}

bool CanChange(State from, State to) {
  for (const Change& change : kChanges) {
    if (change.from == from && change.to == to) return true;
  }
  return false;
}

absl::Status CheckStateChange(State from, State to) {
  if (CanChange(from, to)) return absl::OkStatus();
  std::vector<std::string> next;
  for (State state : kStates) {
    if (CanChange(from, state)) next.push_back(StateName(state));
  }
  return absl::FailedPreconditionError(
      StrCat("the job is ", StateName(from), " and cannot become ", StateName(to),
             next.empty() ? std::string("; this state is final") : StrCat("; it can become ", absl::StrJoin(next, ", "))));
}

std::string StateName(State state) {
  if (state == Job::STATE_UNSPECIFIED) return "";
  return Job::State_Name(state).substr(kPrefix.size());
}

std::optional<State> StateFromName(std::string_view name) {
  for (State state : kStates) {
    if (StateName(state) == name) return state;
  }
  return std::nullopt;
}

std::vector<std::string> StateNames() {
  std::vector<std::string> names;
  for (State state : kStates) names.push_back(StateName(state));
  return names;
}

}  // namespace attune::jobs
