#include "server/scheduler/placement_policy.h"

#include <algorithm>
#include <utility>

#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

std::string WhyWaiting(const ClusterState& state, int free_slots) {
  if (state.draining) return "waits for the server to start again: it is shutting down";
  if (free_slots <= 0) {
    return state.job_slots == 1 ? std::string("waits for the running job to end") : StrCat("waits for one of ", state.job_slots, " running jobs to end");
  }
  if (!state.trouble.empty()) return StrCat("waits for a worker, and none can be started: ", state.trouble);
  return "waits for a worker to be ready";
}

}  // namespace

Placement Place(std::vector<QueuedJob> queued, const ClusterState& state) {
  std::sort(queued.begin(), queued.end(), [](const QueuedJob& a, const QueuedJob& b) { return a.order < b.order; });
  int free_slots = state.job_slots - state.busy_slots;
  int can_start = state.draining ? 0 : std::max(0, std::min(free_slots, state.idle_workers));
  Placement placement;
  for (QueuedJob& job : queued) {
    if (static_cast<int>(placement.start.size()) < can_start) {
      placement.start.push_back(std::move(job.id));
    } else {
      placement.waiting.push_back(std::move(job.id));
    }
  }
  if (!placement.waiting.empty()) placement.reason = WhyWaiting(state, free_slots - static_cast<int>(placement.start.size()));
  return placement;
}

}  // namespace attune::scheduler
